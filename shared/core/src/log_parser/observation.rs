//! What one line says: plain data, which the parsers of all formats give and the fold takes.

use crate::model::TaskStatus;

/// A counter as printed.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct Counter {
    /// Steps done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<u64>,
    /// Steps in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// The percentage, where one is printed (0 to 100).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percentage: Option<u8>,
}

/// What one line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// A line of the CDK command line.
    Cdk(CdkObservation),
    /// A line of an agent.
    Agent(AgentObservation),
}

/// What a run does to a stack, from the least special to the most.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// `X: building assets...`, `X: start: Building …`: before anything is done to the stack.
    BuildAssets,
    /// `cdk deploy`.
    Deploy,
    /// `cdk destroy`, or a deploy that removes an empty stack.
    Destroy,
    /// `cdk import`.
    Import,
    /// `cdk rollback`.
    Rollback,
    /// `cdk bootstrap`.
    Bootstrap,
    /// `cdk deploy --hotswap`.
    Hotswap,
}

/// What a line says of its stack as a whole: an own row, by CloudFormation's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StackState {
    /// `REVIEW_IN_PROGRESS`, `CREATE_IN_PROGRESS`, `UPDATE_IN_PROGRESS`, `IMPORT_IN_PROGRESS`.
    InProgress,
    /// `DELETE_IN_PROGRESS`.
    Deleting,
    /// `UPDATE_COMPLETE_CLEANUP_IN_PROGRESS`: updated, old resources being removed.
    CleaningUp,
    /// `CREATE_COMPLETE`, `UPDATE_COMPLETE`, `IMPORT_COMPLETE`.
    Complete,
    /// `DELETE_COMPLETE`.
    Deleted,
    /// `ROLLBACK_IN_PROGRESS`, `UPDATE_ROLLBACK_IN_PROGRESS`, `IMPORT_ROLLBACK_IN_PROGRESS`, whole or cut.
    RollingBack,
    /// `ROLLBACK_COMPLETE`, `UPDATE_ROLLBACK_COMPLETE…`, `IMPORT_ROLLBACK_COMPLETE`, whole or cut.
    RolledBack,
    /// `…_FAILED`.
    Failed,
}

/// How a stack-level line says a stack has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// `✅`.
    Completed,
    /// `✅ … (no changes)`, `… stack has no resources, skipping deployment.`
    Unchanged,
    /// `✅  X: destroyed`.
    Destroyed,
    /// `❌`, without a rollback status in the message.
    Failed,
    /// `❌`, with `ROLLBACK_COMPLETE` (of any kind) in the message.
    RolledBack,
}

/// Where a stack stands in a run of CDK: `[i/k]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InRun {
    /// `i`, from 1 on.
    pub index: u32,
    /// `k`: how many stacks the run has.
    pub stacks: u32,
}

/// What one line of the CDK command line says. Names are as printed: the fold finds out which belong
/// together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CdkObservation {
    /// An operation on a stack begins: `X: deploying... [i/k]`, `X: creating CloudFormation changeset...`,
    /// `X: destroying...`, `X: importing resources into stack...`, `Rolling back X`,
    /// `X: building assets...`.
    Start {
        /// The stack: its CloudFormation name or its display name.
        stack: String,
        /// What begins.
        operation: Operation,
        /// Which stack of its run it is, where that is said.
        in_run: Option<InRun>,
    },
    /// An event row, or `n/m Currently in progress: …`.
    Row {
        /// The stack column; `None` where there is none.
        stack: Option<String>,
        /// The counter; `None` in the recap and in the errors-only printer.
        counter: Option<Counter>,
        /// The state of the stack as a whole, if the row is the stack's own: always of the named stack
        /// where there is a stack column; otherwise of `own_name`.
        own: Option<StackState>,
        /// For a row without a stack column whose type is `AWS::CloudFormation::Stack` and whose name may be a
        /// stack's: that name.
        own_name: Option<String>,
        /// Why a resource failed (`<logical id or name>: <reason>`); `None` unless the row's status is
        /// `…_FAILED`. Reasons that only echo another failure (`Resource creation cancelled`) are `None`.
        failure: Option<String>,
        /// What the row says, for people: `CREATE_IN_PROGRESS AWS::SQS::Queue Jobs`.
        message: String,
    },
    /// A frame of the bar printer.
    Bar {
        /// The `(n/m)` after the bar.
        counter: Counter,
    },
    /// `n/m Currently in progress: A, B`.
    CurrentlyInProgress {
        /// The counter.
        counter: Counter,
        /// The first id listed, which may be a stack or a resource.
        first_id: String,
    },
    /// A stack has ended.
    End {
        /// The stack: its CloudFormation name or its display name.
        stack: String,
        /// How.
        outcome: Outcome,
        /// The message, for failures.
        message: Option<String>,
    },
    /// A tick or a cross before what may be a stack's name and may as well be another program's word: it is an end
    /// only of a stack that other lines know.
    PossibleEnd {
        /// What may be a stack: its CloudFormation name or its display name.
        stack: String,
        /// How it has ended.
        outcome: Outcome,
        /// The message, for failures.
        message: Option<String>,
    },
    /// `⏳  Bootstrapping environment aws://…`. The stack is named by the lines that follow, or else is
    /// `CDKToolkit`.
    BootstrapStart {
        /// `aws://account/region`.
        environment: String,
    },
    /// `✅  Environment … bootstrapped.` or `❌  Environment … failed bootstrapping: …`.
    BootstrapEnd {
        /// `aws://account/region`.
        environment: String,
        /// How.
        outcome: Outcome,
        /// The message, for failures.
        message: Option<String>,
    },
    /// An ARN of a stack: settles which CloudFormation name a display name has.
    StackArn {
        /// The CloudFormation name in it.
        name: String,
    },
    /// `✨ hotswapping resources:`, `✨ … hotswapped!`: belongs to the stack that ends next.
    Hotswap,
    /// `❌ Deployment failed: …`: the run, not a stack.
    RunFailed {
        /// The message.
        message: String,
    },
}

/// Which of several counters in one log is the outer one: the greater kind.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum CounterKind {
    /// A percentage without a counter: `45%`.
    Percent,
    /// A bar with a count that restarts inside each step, as of one epoch: `178/178 [=====]`.
    InnerBar,
    /// A bar with a count: tqdm, git's phases, Spark's stages.
    Bar,
    /// A named counter of small things: `item 3/10`, `batch 1/3`, `file 2 of 7`.
    Item,
    /// A counter in brackets: `[3/10]`.
    Bracket,
    /// A named step: `Step 3/10`.
    Step,
    /// A named large step: `Epoch 1/250`, `Task 3/5`, `Phase 2/3`, `Stage 1/4`.
    Phase,
    /// The agent's own report in JSON.
    Report,
}

/// What has ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EndOf {
    /// The run, as the agent itself says.
    #[default]
    Run,
    /// A tool that the agent runs: the run as well, unless the agent counts steps and has some left.
    Tool,
    /// A part of what a tool does, one host of several or those tests that passed: as [`Self::Tool`], but it
    /// contradicts no other end.
    Part,
}

/// What one line of an agent says. Every field may be absent; a line without any is no observation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgentObservation {
    /// The task the line is of, where it says so.
    pub task_id: Option<String>,
    /// The project the line names.
    pub project_id: Option<String>,
    /// How far the agent is: at most one counter a kind, the last on the line.
    pub counters: Vec<(CounterKind, Counter)>,
    /// Where the agent says it stands. In plain text only ends are taken.
    pub status: Option<TaskStatus>,
    /// Whether the line plainly begins a run: a first step (0 or 1 of n, 0 %), or a JSON status such as
    /// `started`.
    pub is_start: bool,
    /// What has ended, where `status` is an end.
    pub end_of: EndOf,
    /// What is being done.
    pub phase: Option<String>,
    /// The step it is at, in words.
    pub current_step: Option<String>,
    /// The line, for people.
    pub message: Option<String>,
}

/// A line that is ours but broken: cut off, or in contradiction with itself. It is counted, and never
/// hides the next line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseError(pub &'static str);
