//! Observations: plain data that the parsers of all formats produce and the fold consumes.
//!
//! They are stored as JSON by the hundred. So their JSON has short names and leaves out what is
//! empty.

mod agent;
mod counter;
mod samples;

use serde::{Deserialize, Serialize};

use super::text::clip;
use crate::model::TaskStatus;

use agent::is_default;
pub use agent::{
    AgentObservation, EndOf, MAX_ITEM_BYTES, MAX_TODOS, Need, SubagentReport, Todo, TodoEdit,
    TodoState, Usage, Waiting,
};
pub use counter::{Counter, CounterKind};
pub use samples::{MAX_SAMPLES, Sample, Samples};

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
    /// A line with number pairs that may be progress. They are, once they move.
    Samples(Samples),
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
                | CdkObservation::StackIsIn { outcome, .. }
                | CdkObservation::BootstrapEnd { outcome, .. },
            ) => matches!(outcome, Outcome::Failed | Outcome::RolledBack),
            Self::Cdk(CdkObservation::Row { failure, .. }) => failure.is_some(),
            Self::Cdk(CdkObservation::RunFailed { .. }) => true,
            Self::Cdk(_) => false,
            Self::Agent(line) => line.status == Some(TaskStatus::Failed),
            Self::Lambda(line) => *line != LambdaObservation::Start,
            Self::Samples(_) => false,
        }
    }

    /// The observation without the end of a run that it reports; `None` if it says nothing else.
    pub(super) fn without_end(self) -> Option<Self> {
        let line = match self {
            Self::Agent(line) if line.status.is_some_and(TaskStatus::is_terminal) => line,
            other => return Some(other),
        };
        let line = AgentObservation {
            status: None,
            end_of: EndOf::default(),
            ..line
        };
        let said = AgentObservation {
            message: line.message.clone(),
            ..AgentObservation::default()
        };
        (line != said).then_some(Self::Agent(line))
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
        /// Whether the line is about the change set. Such a line has the CloudFormation name.
        #[serde(rename = "set", default, skip_serializing_if = "is_default")]
        is_change_set: bool,
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
        /// Whether only one space follows the mark. Many programs print such marks before words.
        #[serde(rename = "one", default, skip_serializing_if = "is_default")]
        is_squeezed: bool,
    },
    /// A sentence about the state of a stack: `X is in ROLLBACK_COMPLETE`. It is an end only of a
    /// stack that is known and has not ended.
    StackIsIn {
        /// The stack: its CloudFormation name or its display name.
        #[serde(rename = "s")]
        stack: String,
        /// The outcome.
        #[serde(rename = "out")]
        outcome: Outcome,
        /// The sentence.
        #[serde(rename = "m")]
        message: String,
    },
    /// `X: success: Published …`: the stack waits for its deployment, or for its next asset.
    AssetPublished {
        /// The stack: its CloudFormation name or its display name.
        #[serde(rename = "s")]
        stack: String,
    },
    /// `✨ hotswapping resources:`, `✨ … hotswapped!`: for the stack that started last.
    Hotswap,
    /// `Changeset … created and waiting in review for manual execution`: for the stack that started
    /// last. Some releases print it also if they go on and execute the change set.
    Prepared,
    /// `⚠️  Stack deployed using Express Mode. Resources still stabilizing: …`: for the stack that
    /// started last.
    Express {
        /// The note.
        #[serde(rename = "m")]
        message: String,
    },
    /// `✨  Deployment time: …` after a tick, `✨  Rollback time: …` after a rollback.
    TimeTaken {
        /// The operation.
        #[serde(rename = "op")]
        operation: Operation,
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
    /// `✨  Synthesis time: …`: a command has read the app, and goes on to its stacks.
    Synthesized,
    /// `❌ Deployment failed: …`, `‣ DeploymentError: …`: the whole run failed.
    RunFailed {
        /// The message.
        #[serde(rename = "m")]
        message: String,
        /// What failed.
        #[serde(default, skip_serializing_if = "is_default")]
        of: FailureOf,
    },
    /// `Deployment cancelled`, `Aborted by user`: somebody stopped the run, or did not approve it.
    RunCancelled {
        /// The line.
        #[serde(rename = "m")]
        message: String,
    },
    /// `✅  Stack refactor complete`: the run completed without a line about a stack.
    RunCompleted,
    /// `Error: Cannot find …`: why a command failed, if the next line about the run says that it did.
    Exception {
        /// The line.
        #[serde(rename = "m")]
        message: String,
    },
    /// `🛑 a queue of this name exists`: a cause below a message that ends with a colon.
    Cause {
        /// The cause.
        #[serde(rename = "m")]
        message: String,
    },
}

/// What reports the failure of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureOf {
    /// The shell or the CI server around the command. It may report another command.
    #[default]
    Surroundings,
    /// The command itself, with its last word.
    Command,
    /// The app that defines the stacks. Its own lines say why.
    App,
    /// Some assets. Stacks that are under way go on.
    Assets,
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
