//! Observations: plain data that the parsers of all formats produce and the fold consumes.

use crate::model::TaskStatus;

/// A counter as printed.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct Counter {
    /// Steps done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<u64>,
    /// The total number of steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// The percentage, if one is printed (0 to 100).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percentage: Option<u8>,
}

/// What the parser read from one line.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Observation {
    /// A line of the CDK command line.
    Cdk(CdkObservation),
    /// A line of an agent.
    Agent(AgentObservation),
}

/// The operation of a run on a stack. A later variant is more specific and wins over an earlier
/// one.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// `X: building assets...`, `X: start: Building …`: before the stack itself changes.
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

/// The state of a stack as a whole, from the CloudFormation status in the row of the stack itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum StackState {
    /// `REVIEW_IN_PROGRESS`, `CREATE_IN_PROGRESS`, `UPDATE_IN_PROGRESS`, `IMPORT_IN_PROGRESS`.
    InProgress,
    /// `DELETE_IN_PROGRESS`.
    Deleting,
    /// `UPDATE_COMPLETE_CLEANUP_IN_PROGRESS`: updated, and old resources are being removed.
    CleaningUp,
    /// `CREATE_COMPLETE`, `UPDATE_COMPLETE`, `IMPORT_COMPLETE`.
    Complete,
    /// `DELETE_COMPLETE`.
    Deleted,
    /// `ROLLBACK_IN_PROGRESS`, `UPDATE_ROLLBACK_IN_PROGRESS`, `IMPORT_ROLLBACK_IN_PROGRESS`, also
    /// shortened.
    RollingBack,
    /// `ROLLBACK_COMPLETE`, `UPDATE_ROLLBACK_COMPLETE…`, `IMPORT_ROLLBACK_COMPLETE`, also
    /// shortened.
    RolledBack,
    /// `…_FAILED`.
    Failed,
}

/// The outcome of a stack, from a line about the stack as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Outcome {
    /// `✅`.
    Completed,
    /// `✅ … (no changes)`, `… stack has no resources, skipping deployment.`
    Unchanged,
    /// `✅  X: destroyed`.
    Destroyed,
    /// `❌` without a rollback status in the message.
    Failed,
    /// `❌` with `ROLLBACK_COMPLETE` (of any kind) in the message.
    RolledBack,
}

/// The place of a stack among the stacks of a CDK run: `[i/k]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct InRun {
    /// `i`, from 1.
    pub index: u32,
    /// `k`: the number of stacks in the run.
    pub stacks: u32,
}

/// What the parser read from one line of the CDK command line.
///
/// Names are as printed. The fold finds out which names are the same stack.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum CdkObservation {
    /// An operation on a stack starts: `X: deploying... [i/k]`, `X: creating CloudFormation
    /// changeset...`, `X: destroying...`, `X: importing resources into stack...`, `Rolling back X`,
    /// `X: building assets...`.
    Start {
        /// The stack: its CloudFormation name or its display name.
        stack: String,
        /// The operation.
        operation: Operation,
        /// The place of the stack in its run, if printed.
        in_run: Option<InRun>,
    },
    /// An event row.
    Row {
        /// The stack column; `None` if the row has none.
        stack: Option<String>,
        /// The counter; `None` in the recap and in the errors-only printer.
        counter: Option<Counter>,
        /// The state of the stack as a whole, if the row is about the stack itself. The stack is
        /// `stack` if the row has a stack column, else `own_name`.
        own: Option<StackState>,
        /// The name in a row without a stack column, if the type is `AWS::CloudFormation::Stack`
        /// and the name can be a stack name.
        own_name: Option<String>,
        /// Why a resource failed: `<logical id or name>: <reason>`. `None` if the status is not
        /// `…_FAILED`, or if the reason only repeats another failure (`Resource creation
        /// cancelled`).
        failure: Option<String>,
        /// The row as a message to show: `CREATE_IN_PROGRESS AWS::SQS::Queue Jobs`.
        message: String,
    },
    /// A frame of CDK's progress bar.
    Bar {
        /// The `(n/m)` after the bar.
        counter: Counter,
    },
    /// `n/m Currently in progress: A, B`.
    CurrentlyInProgress {
        /// The counter.
        counter: Counter,
        /// The first id listed: a stack or a resource.
        first_id: String,
    },
    /// A stack has ended.
    End {
        /// The stack: its CloudFormation name or its display name.
        stack: String,
        /// The outcome.
        outcome: Outcome,
        /// The error message of a failure.
        message: Option<String>,
    },
    /// A tick or a cross before a word that may be a stack name or text of another program.
    ///
    /// It counts as an end only if other lines name the stack.
    UnconfirmedEnd {
        /// The possible stack: its CloudFormation name or its display name.
        stack: String,
        /// The outcome.
        outcome: Outcome,
        /// The error message of a failure.
        message: Option<String>,
    },
    /// `⏳  Bootstrapping environment aws://…`. Later lines name the stack; the default is
    /// `CDKToolkit`.
    BootstrapStart {
        /// `aws://account/region`.
        environment: String,
    },
    /// `✅  Environment … bootstrapped.` or `❌  Environment … failed bootstrapping: …`.
    BootstrapEnd {
        /// `aws://account/region`.
        environment: String,
        /// The outcome.
        outcome: Outcome,
        /// The error message of a failure.
        message: Option<String>,
    },
    /// The ARN of a stack. It tells which CloudFormation name belongs to a display name.
    StackArn {
        /// The CloudFormation name in the ARN.
        name: String,
    },
    /// `✨ hotswapping resources:`, `✨ … hotswapped!`: for the stack that ends next.
    Hotswap,
    /// `❌ Deployment failed: …`: the whole run failed.
    RunFailed {
        /// The message.
        message: String,
    },
}

/// The kind of a counter. Of several counters in one log, the one with the greatest kind is the
/// outer one.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum CounterKind {
    /// A percentage without a count: `45%`.
    Percent,
    /// A bar that restarts in each step, such as the bar of one epoch: `178/178 [=====]`.
    InnerBar,
    /// A bar with a count: tqdm, phases of git, stages of Spark.
    Bar,
    /// A named counter of small things: `item 3/10`, `batch 1/3`, `file 2 of 7`.
    Item,
    /// A counter in brackets: `[3/10]`.
    Bracket,
    /// A named step: `Step 3/10`.
    Step,
    /// A named large step: `Epoch 1/250`, `Task 3/5`, `Phase 2/3`, `Stage 1/4`.
    Phase,
    /// A JSON report of an agent.
    Report,
}

/// What ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum EndOf {
    /// The run, as reported by the agent itself.
    #[default]
    Run,
    /// A tool that the agent ran. It also ends the run, unless the agent counts steps and some are
    /// left.
    Tool,
    /// A part of a tool's work, such as one of several hosts. As [`Self::Tool`], but it never
    /// overrides another end.
    Part,
}

/// What the parser read from one line of an agent. Every field is optional; a line with none is not
/// an observation.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AgentObservation {
    /// The task that the line names.
    pub task_id: Option<String>,
    /// The project that the line names.
    pub project_id: Option<String>,
    /// The counters: at most one of each kind, the last on the line.
    pub counters: Vec<(CounterKind, Counter)>,
    /// The status. Plain text gives only terminal statuses.
    pub status: Option<TaskStatus>,
    /// Whether the line starts a run: a first step (0 or 1 of n, 0 %), or a JSON status such as
    /// `started`.
    pub is_start: bool,
    /// What ended, if `status` is terminal.
    pub end_of: EndOf,
    /// The current activity.
    pub phase: Option<String>,
    /// The current step, in words.
    pub current_step: Option<String>,
    /// The line as a message to show.
    pub message: Option<String>,
}

/// The error for a line that is of the format but is broken: cut off, or contradictory.
///
/// Callers count it and go on with the next line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseError(pub &'static str);
