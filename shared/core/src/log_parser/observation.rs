//! Observations: plain data that the parsers of all formats produce and the fold consumes.
//!
//! They are stored as JSON by the hundred. So their JSON has short names and leaves out what is
//! empty.

use serde::{Deserialize, Serialize};

use super::text::clip;
use crate::model::TaskStatus;

/// A counter as printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Counter {
    /// The number of steps done. It may exceed the total.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    pub current: Option<u64>,
    /// The total number of steps. CloudFormation only estimates it.
    #[serde(rename = "of", default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// The percentage, if one is printed (0 to 100).
    #[serde(rename = "pct", default, skip_serializing_if = "Option::is_none")]
    pub percentage: Option<u8>,
}

/// What the parser read from one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Observation {
    /// A line of the CDK command line.
    Cdk(CdkObservation),
    /// A line of an agent.
    Agent(AgentObservation),
    /// A line that AWS Lambda writes around the lines of a function.
    Lambda(LambdaObservation),
}

/// What AWS Lambda says about an invocation of a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LambdaObservation {
    /// An invocation starts.
    Start,
    /// The invocation has failed.
    Failed {
        /// `timeout`, `error` or `failure`.
        status: String,
    },
}

impl Observation {
    /// Whether the line reports a failure, also one of a part.
    pub fn is_failure(&self) -> bool {
        match self {
            Self::Cdk(
                CdkObservation::End { outcome, .. }
                | CdkObservation::UnconfirmedEnd { outcome, .. }
                | CdkObservation::BootstrapEnd { outcome, .. },
            ) => matches!(outcome, Outcome::Failed | Outcome::RolledBack),
            Self::Cdk(CdkObservation::Row { failure, .. }) => failure.is_some(),
            Self::Cdk(CdkObservation::RunFailed { .. }) => true,
            Self::Cdk(_) => false,
            Self::Agent(line) => line.status == Some(TaskStatus::Failed),
            Self::Lambda(line) => *line != LambdaObservation::Start,
        }
    }
}

/// The operation of a run on a stack. A later variant is more specific and wins over an earlier
/// one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct InRun {
    /// `i`, from 1.
    #[serde(rename = "i")]
    pub index: u32,
    /// `k`: the number of stacks in the run.
    #[serde(rename = "k")]
    pub stacks: u32,
}

/// What the parser read from one line of the CDK command line.
///
/// Names are as printed, at most 1,024 bytes. The fold finds out which names are the same stack.
/// Other texts are at most [`MAX_MESSAGE_BYTES`](crate::model::MAX_MESSAGE_BYTES) long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CdkObservation {
    /// An operation on a stack starts: `X: deploying... [i/k]`, `X: creating CloudFormation
    /// changeset...`, `X: destroying...`, `X: importing resources into stack...`, `Rolling back X`,
    /// `X: building assets...`.
    Start {
        /// The stack: its CloudFormation name or its display name.
        #[serde(rename = "s")]
        stack: String,
        /// The operation.
        #[serde(rename = "op")]
        operation: Operation,
        /// The place of the stack in its run, if printed.
        #[serde(rename = "in", default, skip_serializing_if = "Option::is_none")]
        in_run: Option<InRun>,
    },
    /// An event row.
    Row {
        /// The stack column; `None` if the row has none.
        #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
        stack: Option<String>,
        /// The counter; `None` in the recap and in the errors-only printer.
        #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
        counter: Option<Counter>,
        /// The state of the stack as a whole, if the row is about the stack itself. The stack is
        /// `stack` if the row has a stack column, else `own_name`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        own: Option<StackState>,
        /// The name in a row without a stack column, if the type is `AWS::CloudFormation::Stack`
        /// and the name can be a stack name.
        #[serde(rename = "name", default, skip_serializing_if = "Option::is_none")]
        own_name: Option<String>,
        /// Why a resource failed: `<logical id or name>: <reason>`. `None` if the status is not
        /// `…_FAILED`, or if the reason only repeats another failure (`Resource creation
        /// cancelled`).
        #[serde(rename = "fail", default, skip_serializing_if = "Option::is_none")]
        failure: Option<String>,
        /// What the row is about.
        #[serde(rename = "what")]
        subject: RowSubject,
    },
    /// A frame of CDK's progress bar.
    Bar {
        /// The `(n/m)` after the bar.
        #[serde(rename = "c")]
        counter: Counter,
    },
    /// `n/m Currently in progress: A, B`.
    CurrentlyInProgress {
        /// The counter.
        #[serde(rename = "c")]
        counter: Counter,
        /// The first id listed: a stack or a resource.
        #[serde(rename = "id")]
        first_id: String,
    },
    /// A stack has ended.
    End {
        /// The stack: its CloudFormation name or its display name.
        #[serde(rename = "s")]
        stack: String,
        /// The outcome.
        #[serde(rename = "out")]
        outcome: Outcome,
        /// The error message of a failure.
        #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    /// A tick or a cross before a word that may be a stack name or text of another program.
    ///
    /// It counts as an end only if other lines name the stack.
    UnconfirmedEnd {
        /// The possible stack: its CloudFormation name or its display name.
        #[serde(rename = "s")]
        stack: String,
        /// The outcome.
        #[serde(rename = "out")]
        outcome: Outcome,
        /// The error message of a failure.
        #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    /// `⏳  Bootstrapping environment aws://…`. Later lines name the stack; the default is
    /// `CDKToolkit`.
    BootstrapStart {
        /// `aws://account/region`.
        #[serde(rename = "env")]
        environment: String,
    },
    /// `✅  Environment … bootstrapped.` or `❌  Environment … failed bootstrapping: …`.
    BootstrapEnd {
        /// `aws://account/region`.
        #[serde(rename = "env")]
        environment: String,
        /// The outcome.
        #[serde(rename = "out")]
        outcome: Outcome,
        /// The error message of a failure.
        #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
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
        #[serde(rename = "m")]
        message: String,
    },
}

/// What an event row is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowSubject {
    /// A resource, or a stack as the resource that it is to CloudFormation.
    Resource(Resource),
    /// Unknown: the row was cut off after its time column.
    CutOff {
        /// The rest of the row, as a message to show.
        line: String,
    },
}

impl RowSubject {
    /// The row as a message to show: `CREATE_IN_PROGRESS AWS::SQS::Queue Jobs`.
    pub fn message(&self) -> String {
        match self {
            Self::Resource(resource) => {
                let Resource {
                    status,
                    resource_type,
                    name,
                    ..
                } = resource;
                clip(&[&**status, resource_type, name].join(" "))
            }
            Self::CutOff { line } => line.clone(),
        }
    }
}

/// A resource and its status in an event row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// The status in CloudFormation, in full also if the row has cut it: `CREATE_IN_PROGRESS`.
    #[serde(rename = "is")]
    pub status: String,
    /// The type, at most 256 bytes: `AWS::SQS::Queue`. In a row that was cut off it may be only the
    /// start of one, or empty.
    #[serde(rename = "type", default, skip_serializing_if = "String::is_empty")]
    pub resource_type: String,
    /// The name that CDK prints, at most 512 bytes: a construct path, or the logical id. Empty if
    /// the row was cut off before it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The logical id, at most 255 bytes: `Jobs1A2B3C4D`. `None` if it is `name`, or unknown.
    #[serde(rename = "id", default, skip_serializing_if = "Option::is_none")]
    pub logical_id: Option<String>,
}

impl Resource {
    /// The state that the status means; `None` if the status is unknown.
    pub fn state(&self) -> Option<ResourceState> {
        let status = self.status.as_str();
        if status.ends_with("_SKIPPED") || status.ends_with(" (skipped)") {
            Some(ResourceState::Skipped)
        } else if status.ends_with("_IN_PROGRESS") {
            Some(ResourceState::InProgress)
        } else if status.ends_with("_COMPLETE") {
            Some(ResourceState::Complete)
        } else if status.ends_with("_FAILED") {
            Some(ResourceState::Failed)
        } else {
            None
        }
    }
}

/// The state of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResourceState {
    /// `…_IN_PROGRESS`.
    InProgress,
    /// `…_COMPLETE`.
    Complete,
    /// `…_FAILED`.
    Failed,
    /// `DELETE_SKIPPED`, `DELETE_FAILED (skipped)`: CloudFormation keeps the resource and goes on.
    Skipped,
}

/// The kind of a counter. Of several counters in one log, the one with the greatest kind is the
/// outer one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
/// an observation. Texts without another limit are at most
/// [`MAX_MESSAGE_BYTES`](crate::model::MAX_MESSAGE_BYTES) long.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentObservation {
    /// The task that the line names: a valid [`TaskId`](crate::model::TaskId).
    #[serde(rename = "task", skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// The project that the line names: a valid [`ProjectId`](crate::model::ProjectId).
    #[serde(rename = "project", skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// The counters: at most one of each kind, the last on the line.
    #[serde(rename = "c", skip_serializing_if = "Vec::is_empty")]
    pub counters: Vec<(CounterKind, Counter)>,
    /// The status. Plain text gives only terminal statuses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<TaskStatus>,
    /// Whether the line starts a run: a first step (0 or 1 of n, 0 %), or a JSON status such as
    /// `started`.
    #[serde(rename = "start", skip_serializing_if = "is_default")]
    pub is_start: bool,
    /// What ended, if `status` is terminal.
    #[serde(rename = "end", skip_serializing_if = "is_default")]
    pub end_of: EndOf,
    /// The current activity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// The current step, in words.
    #[serde(rename = "step", skip_serializing_if = "Option::is_none")]
    pub current_step: Option<String>,
    /// The line as a message to show.
    #[serde(rename = "m", skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What the run has used so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Box<Usage>>,
    /// The to-do list of the agent, at most [`MAX_TODOS`] items. Its counter is in `counters`,
    /// unless the line has another counter of kind [`CounterKind::Report`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub todos: Vec<Todo>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What a run of an agent has used since its start, as far as the line says. A later value replaces
/// an earlier one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// The language model, at most [`MAX_ITEM_BYTES`] bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Tokens that the model read. Some agents count cached tokens here, some do not.
    #[serde(rename = "in", skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// Tokens that the model wrote.
    #[serde(rename = "out", skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// Tokens that were read from the cache of the provider.
    #[serde(rename = "cached", skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<u64>,
    /// Requests to the model, as the agent counts them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turns: Option<u64>,
    /// The cost in millionths of a US dollar, at most 10^15.
    #[serde(rename = "cost", skip_serializing_if = "Option::is_none")]
    pub cost_micro_usd: Option<u64>,
    /// The tool that the agent uses now, at most [`MAX_ITEM_BYTES`] bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
}

impl Usage {
    /// Adds what a later line says. Values are cumulative, so they replace earlier ones.
    pub fn replace_by(&mut self, later: &Self) {
        fn put<T: Clone>(held: &mut Option<T>, later: &Option<T>) {
            if later.is_some() {
                held.clone_from(later);
            }
        }
        put(&mut self.model, &later.model);
        put(&mut self.input_tokens, &later.input_tokens);
        put(&mut self.output_tokens, &later.output_tokens);
        put(&mut self.cached_tokens, &later.cached_tokens);
        put(&mut self.turns, &later.turns);
        put(&mut self.cost_micro_usd, &later.cost_micro_usd);
        put(&mut self.tool, &later.tool);
    }
}

/// The most items of a to-do list that are kept. Further items are only counted.
pub const MAX_TODOS: usize = 50;
/// The greatest length of a to-do item and of the names in [`Usage`], in bytes.
pub const MAX_ITEM_BYTES: usize = 160;

/// An item of a to-do list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Todo {
    /// The words of the item, at most [`MAX_ITEM_BYTES`] bytes.
    #[serde(rename = "t")]
    pub text: String,
    /// How far it is.
    #[serde(rename = "s", default, skip_serializing_if = "is_default")]
    pub state: TodoState,
}

/// The state of a [`Todo`].
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum TodoState {
    /// Not begun, or waiting.
    #[default]
    Pending,
    /// The agent works on it.
    InProgress,
    /// Done or cancelled: nothing is left to do.
    Done,
}

/// The error for a line that is of the format but is broken: cut off, or contradictory.
///
/// Callers count it and go on with the next line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseError(pub &'static str);

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(status: &str) -> Resource {
        Resource {
            status: status.to_owned(),
            resource_type: "AWS::SQS::Queue".to_owned(),
            name: "Jobs".to_owned(),
            logical_id: Some("Jobs1A2B3C4D".to_owned()),
        }
    }

    #[test]
    fn the_json_of_an_observation_is_short() {
        let counter = Counter {
            current: Some(3),
            total: Some(7),
            percentage: None,
        };
        let row = Observation::Cdk(CdkObservation::Row {
            stack: Some("Prod".to_owned()),
            counter: Some(counter),
            own: None,
            own_name: None,
            failure: None,
            subject: RowSubject::Resource(resource("CREATE_COMPLETE")),
        });
        let report = Observation::Agent(AgentObservation {
            counters: vec![(CounterKind::Step, counter)],
            ..AgentObservation::default()
        });
        for (observation, json) in [
            (
                row,
                concat!(
                    r#"{"cdk":{"row":{"s":"Prod","c":{"n":3,"of":7},"what":{"resource":"#,
                    r#"{"is":"CREATE_COMPLETE","type":"AWS::SQS::Queue","name":"Jobs","#,
                    r#""id":"Jobs1A2B3C4D"}}}}}"#
                ),
            ),
            (report, r#"{"agent":{"c":[["step",{"n":3,"of":7}]]}}"#),
        ] {
            assert_eq!(serde_json::to_string(&observation).unwrap(), json);
        }
    }

    #[test]
    fn the_status_of_a_resource_gives_its_state() {
        use ResourceState::{Complete, Failed, InProgress, Skipped};
        for (status, state) in [
            ("CREATE_IN_PROGRESS", Some(InProgress)),
            ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", Some(InProgress)),
            ("ROLLBACK_IN_PROGRESS", Some(InProgress)),
            ("DELETE_COMPLETE", Some(Complete)),
            ("UPDATE_ROLLBACK_COMPLETE", Some(Complete)),
            ("CREATE_FAILED", Some(Failed)),
            ("DELETE_FAILED (skipped)", Some(Skipped)),
            ("DELETE_SKIPPED", Some(Skipped)),
            ("", None),
            ("FAILED", None),
        ] {
            assert_eq!(resource(status).state(), state, "{status}");
        }
    }
}
