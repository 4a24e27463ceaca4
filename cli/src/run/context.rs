//! Who runs a command, where and on what: what CI systems say in variables, or `git`.

use std::process::{Command, Stdio};

use serde::Serialize;

use super::redactor::Redactor;

/// The context of a run.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Context {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) actor: Option<String>,
    /// The last two names of the repository's path: `owner/name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) repository: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) commit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) branch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pull_request: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ci_url: Option<String>,
}

impl Context {
    /// The context by these variables or, without a known CI system, by `git`.
    pub(crate) fn find(variable: impl Fn(&str) -> Option<String>) -> Self {
        Self::of_ci(&variable).unwrap_or_else(|| Self {
            actor: variable("USER").or_else(|| variable("LOGNAME")),
            repository: git(&["config", "--get", "remote.origin.url"])
                .and_then(|url| owner_and_name(&url)),
            commit: git(&["rev-parse", "HEAD"]),
            branch: git(&["symbolic-ref", "--short", "-q", "HEAD"]),
            ..Self::default()
        })
    }

    fn of_ci(variable: &impl Fn(&str) -> Option<String>) -> Option<Self> {
        let first = |names: &[&str]| names.iter().find_map(|name| variable(name));
        let repository = |name: &str| variable(name).and_then(|url| owner_and_name(&url));
        if variable("GITHUB_ACTIONS").is_some() {
            let reference = variable("GITHUB_REF").unwrap_or_default();
            let pull_request = reference.strip_prefix("refs/pull/");
            let ci_url = || {
                let server = variable("GITHUB_SERVER_URL")?;
                let repository = variable("GITHUB_REPOSITORY")?;
                let run = variable("GITHUB_RUN_ID")?;
                Some(format!("{server}/{repository}/actions/runs/{run}"))
            };
            return Some(Self {
                actor: variable("GITHUB_ACTOR"),
                repository: variable("GITHUB_REPOSITORY"),
                commit: variable("GITHUB_SHA"),
                branch: first(&["GITHUB_HEAD_REF", "GITHUB_REF_NAME"]),
                pull_request: pull_request.and_then(first_name),
                ci_url: ci_url(),
            });
        }
        if variable("GITLAB_CI").is_some() {
            return Some(Self {
                actor: variable("GITLAB_USER_LOGIN"),
                repository: variable("CI_PROJECT_PATH"),
                commit: variable("CI_COMMIT_SHA"),
                branch: first(&["CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "CI_COMMIT_REF_NAME"]),
                pull_request: variable("CI_MERGE_REQUEST_IID"),
                ci_url: variable("CI_JOB_URL"),
            });
        }
        if variable("CODEBUILD_BUILD_ID").is_some() {
            let head = variable("CODEBUILD_WEBHOOK_HEAD_REF");
            let branch = head.as_deref().map(|head| {
                let branch = head.strip_prefix("refs/heads/");
                branch.unwrap_or(head).to_owned()
            });
            let trigger = variable("CODEBUILD_WEBHOOK_TRIGGER").unwrap_or_default();
            return Some(Self {
                actor: variable("CODEBUILD_INITIATOR"),
                repository: repository("CODEBUILD_SOURCE_REPO_URL"),
                commit: variable("CODEBUILD_RESOLVED_SOURCE_VERSION"),
                branch,
                pull_request: trigger.strip_prefix("pr/").and_then(first_name),
                ci_url: variable("CODEBUILD_BUILD_URL"),
            });
        }
        if variable("BUILDKITE").is_some() {
            let pull_request = variable("BUILDKITE_PULL_REQUEST");
            return Some(Self {
                actor: variable("BUILDKITE_BUILD_CREATOR"),
                repository: repository("BUILDKITE_REPO"),
                commit: variable("BUILDKITE_COMMIT"),
                branch: variable("BUILDKITE_BRANCH"),
                pull_request: pull_request.filter(|number| number != "false"),
                ci_url: variable("BUILDKITE_BUILD_URL"),
            });
        }
        variable("CIRCLECI").map(|_| Self {
            actor: variable("CIRCLE_USERNAME"),
            repository: repository("CIRCLE_REPOSITORY_URL"),
            commit: variable("CIRCLE_SHA1"),
            branch: variable("CIRCLE_BRANCH"),
            pull_request: variable("CIRCLE_PR_NUMBER"),
            ci_url: variable("CIRCLE_BUILD_URL"),
        })
    }

    /// The context without secrets.
    pub(crate) fn redacted(self, redactor: &Redactor) -> Self {
        let redact = |text: Option<String>| text.map(|text| redactor.redact_text(text));
        Self {
            actor: redact(self.actor),
            repository: redact(self.repository),
            commit: redact(self.commit),
            branch: redact(self.branch),
            pull_request: redact(self.pull_request),
            ci_url: redact(self.ci_url),
        }
    }
}

fn first_name(path: &str) -> Option<String> {
    path.split('/').next().map(str::to_owned)
}

/// `owner/name` in the address of a repository, which may hold a user and a password.
fn owner_and_name(url: &str) -> Option<String> {
    let path = url.trim_end_matches('/').trim_end_matches(".git");
    let path = path.split_once("://").map_or(path, |(_, path)| path);
    let path = path.rsplit_once('@').map_or(path, |(_, path)| path);
    let mut names = path.rsplit(['/', ':']).filter(|name| !name.is_empty());
    let (name, owner) = (names.next()?, names.next()?);
    Some(format!("{owner}/{name}"))
}

/// What `git` prints. It asks nothing and changes nothing.
fn git(arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    command.args(arguments).stdin(Stdio::null());
    let output = command.stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let text = text.trim();
    (output.status.success() && !text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context_of(variables: &[(&str, &str)]) -> Option<Context> {
        Context::of_ci(&|name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name)?;
            Some(found.1.to_owned())
        })
    }

    #[test]
    fn each_ci_system_tells_its_context() {
        let systems: [&[(&str, &str)]; 5] = [
            &[
                ("GITHUB_ACTIONS", "true"),
                ("GITHUB_ACTOR", "ada"),
                ("GITHUB_REPOSITORY", "team/shop"),
                ("GITHUB_SHA", "c0ffee"),
                ("GITHUB_HEAD_REF", "fix"),
                ("GITHUB_REF_NAME", "7/merge"),
                ("GITHUB_REF", "refs/pull/7/merge"),
                ("GITHUB_SERVER_URL", "https://ci.example"),
                ("GITHUB_RUN_ID", "9"),
            ],
            &[
                ("GITLAB_CI", "true"),
                ("GITLAB_USER_LOGIN", "ada"),
                ("CI_PROJECT_PATH", "team/shop"),
                ("CI_COMMIT_SHA", "c0ffee"),
                ("CI_COMMIT_REF_NAME", "fix"),
                ("CI_MERGE_REQUEST_IID", "7"),
                ("CI_JOB_URL", "https://ci.example/team/shop/actions/runs/9"),
            ],
            &[
                ("CODEBUILD_BUILD_ID", "shop:1"),
                ("CODEBUILD_INITIATOR", "ada"),
                (
                    "CODEBUILD_SOURCE_REPO_URL",
                    "https://git.example/team/shop.git",
                ),
                ("CODEBUILD_RESOLVED_SOURCE_VERSION", "c0ffee"),
                ("CODEBUILD_WEBHOOK_HEAD_REF", "refs/heads/fix"),
                ("CODEBUILD_WEBHOOK_TRIGGER", "pr/7"),
                (
                    "CODEBUILD_BUILD_URL",
                    "https://ci.example/team/shop/actions/runs/9",
                ),
            ],
            &[
                ("BUILDKITE", "true"),
                ("BUILDKITE_BUILD_CREATOR", "ada"),
                ("BUILDKITE_REPO", "git@git.example:team/shop.git"),
                ("BUILDKITE_COMMIT", "c0ffee"),
                ("BUILDKITE_BRANCH", "fix"),
                ("BUILDKITE_PULL_REQUEST", "7"),
                (
                    "BUILDKITE_BUILD_URL",
                    "https://ci.example/team/shop/actions/runs/9",
                ),
            ],
            &[
                ("CIRCLECI", "true"),
                ("CIRCLE_USERNAME", "ada"),
                (
                    "CIRCLE_REPOSITORY_URL",
                    "https://ada:pass@git.example/team/shop",
                ),
                ("CIRCLE_SHA1", "c0ffee"),
                ("CIRCLE_BRANCH", "fix"),
                ("CIRCLE_PR_NUMBER", "7"),
                (
                    "CIRCLE_BUILD_URL",
                    "https://ci.example/team/shop/actions/runs/9",
                ),
            ],
        ];
        let text = |text: &str| Some(text.to_owned());
        for variables in systems {
            let expected = Context {
                actor: text("ada"),
                repository: text("team/shop"),
                commit: text("c0ffee"),
                branch: text("fix"),
                pull_request: text("7"),
                ci_url: text("https://ci.example/team/shop/actions/runs/9"),
            };
            assert_eq!(context_of(variables), Some(expected));
        }
        assert_eq!(context_of(&[("USER", "ada")]), None);
    }
}
