//! What a failed write means.

use std::fmt;
use std::time::Duration;

use http::StatusCode;
use ironkeel_plan::meta::Key;
use kube::core::Status;

use super::{Target, Verb};
use crate::lease::NotLeading;
use crate::request::Failure;

/// Wait after a 429 that names no delay: the least that API Priority and Fairness asks for.
const SHED_PAUSE: Duration = Duration::from_secs(1);

/// A write, or a live read for one, that had no success.
#[derive(Debug, thiserror::Error)]
#[error("{verb} {plural} {key}: {}", .refusal.message())]
pub struct WriteError {
    /// What was attempted.
    pub verb: Verb,
    /// Plural name of the kind, with `/status` or another subresource behind it.
    pub plural: String,
    /// The object.
    pub key: Key,
    /// Why it failed.
    pub refusal: Refusal,
}

/// Why a write had no success. The text is the API server's own message, which upstream
/// quotes in events and conditions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The object does not exist (404).
    NotFound(String),
    /// The object has changed or is another one than the precondition names (409).
    Conflict(String),
    /// An object of this name exists (409).
    AlreadyExists(String),
    /// Not allowed (403): RBAC, admission or quota.
    Forbidden(String),
    /// The namespace is being deleted, so nothing can be created in it (403).
    NamespaceTerminating(String),
    /// The object or the patch is invalid (422 or 400): asking again changes nothing.
    Invalid(String),
    /// The API server sheds load (429).
    TooManyRequests {
        /// Upstream's message.
        message: String,
        /// How long the server asks to wait; one second where it does not say.
        retry_after: Duration,
    },
    /// The credentials are not accepted (401).
    Unauthorized(String),
    /// Any other refusal, for example 500 or 503.
    Other {
        /// HTTP status.
        code: u16,
        /// Upstream's message.
        message: String,
    },
    /// No reply, so the write may have happened: look before repeating it.
    Unanswered(String),
    /// Never sent: this process does not hold the lease.
    NotLeading(String),
}

impl Refusal {
    /// The message, as upstream's error text has it.
    pub fn message(&self) -> &str {
        match self {
            Self::NotFound(message)
            | Self::Conflict(message)
            | Self::AlreadyExists(message)
            | Self::NamespaceTerminating(message)
            | Self::Invalid(message)
            | Self::Unauthorized(message)
            | Self::Unanswered(message)
            | Self::NotLeading(message)
            | Self::Forbidden(message)
            | Self::TooManyRequests { message, .. }
            | Self::Other { message, .. } => message,
        }
    }

    /// Reads an API server's refusal.
    pub(super) fn from_status(status: Status) -> Self {
        let Status {
            code,
            message,
            reason,
            details,
            ..
        } = status;
        let has_cause = |name: &str| {
            details
                .as_ref()
                .is_some_and(|details| details.causes.iter().any(|cause| cause.reason == name))
        };
        // The reason decides where there is one: 409 is both Conflict and AlreadyExists.
        match (reason.as_str(), code) {
            _ if has_cause("NamespaceTerminating") => Self::NamespaceTerminating(message),
            ("AlreadyExists", _) => Self::AlreadyExists(message),
            ("Conflict", _) | (_, 409) => Self::Conflict(message),
            ("NotFound", _) | (_, 404) => Self::NotFound(message),
            ("Forbidden", _) | (_, 403) => Self::Forbidden(message),
            ("Invalid" | "BadRequest", _) | (_, 422 | 400) => Self::Invalid(message),
            ("TooManyRequests", _) | (_, 429) => Self::TooManyRequests {
                message,
                retry_after: details
                    .map(|details| details.retry_after_seconds)
                    .filter(|seconds| *seconds > 0)
                    .map_or(SHED_PAUSE, |seconds| Duration::from_secs(seconds.into())),
            },
            ("Unauthorized", _) | (_, 401) => Self::Unauthorized(message),
            _ => Self::Other { code, message },
        }
    }
}

impl WriteError {
    /// The API server's own message, without the object in front: what upstream's events
    /// quote after `Error creating: `.
    pub fn message(&self) -> &str {
        self.refusal.message()
    }

    /// Whether the object does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self.refusal, Refusal::NotFound(_))
    }

    /// Whether an object of this name exists.
    pub fn is_already_exists(&self) -> bool {
        matches!(self.refusal, Refusal::AlreadyExists(_))
    }

    /// Whether the namespace is being deleted: upstream neither posts an event nor retries.
    pub fn is_namespace_terminating(&self) -> bool {
        matches!(self.refusal, Refusal::NamespaceTerminating(_))
    }

    /// Whether the object or the patch was found invalid.
    pub fn is_invalid(&self) -> bool {
        matches!(self.refusal, Refusal::Invalid(_))
    }

    /// Whether the object is not there, or not as the write supposes.
    pub fn contradicts_view(&self) -> bool {
        matches!(
            self.refusal,
            Refusal::NotFound(_) | Refusal::Conflict(_) | Refusal::Invalid(_)
        )
    }

    /// Whether the write was sent and no reply came, so that it may have happened.
    pub fn is_unanswered(&self) -> bool {
        matches!(self.refusal, Refusal::Unanswered(_))
    }

    /// Whether the write may have happened all the same: no reply, one that cannot be read, or a
    /// 5xx, which the API server also answers when it gave up waiting for etcd.
    pub fn leaves_open(&self) -> bool {
        match &self.refusal {
            Refusal::Unanswered(_) => true,
            Refusal::Other { code, .. } => *code < 300 || *code >= 500,
            _ => false,
        }
    }

    /// How long the API server asks to wait before the next attempt.
    pub fn retry_after(&self) -> Option<Duration> {
        match self.refusal {
            Refusal::TooManyRequests { retry_after, .. } => Some(retry_after),
            _ => None,
        }
    }
}

/// What is being attempted, for errors and metrics.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) verb: Verb,
    pub(super) target: Target<'a>,
    pub(super) subresource: Option<&'static str>,
}

impl<'a> Call<'a> {
    pub(super) fn new(verb: Verb, target: Target<'a>, subresource: Option<&'static str>) -> Self {
        Self {
            verb,
            target,
            subresource,
        }
    }
}

impl Call<'_> {
    pub(super) fn failed(&self, failure: Failure) -> WriteError {
        self.error(match failure {
            Failure::Refused(status) => Refusal::from_status(*status),
            Failure::Unbuildable { .. } => Refusal::Invalid(failure.to_string()),
            Failure::TimedOut(_) | Failure::Transport(_) => {
                Refusal::Unanswered(failure.to_string())
            }
        })
    }

    pub(super) fn not_leading(&self, error: &NotLeading) -> WriteError {
        self.error(Refusal::NotLeading(error.to_string()))
    }

    pub(super) fn unreadable(&self, error: &dyn fmt::Display) -> WriteError {
        self.error(Refusal::Other {
            code: StatusCode::OK.as_u16(),
            message: format!("the reply cannot be read: {error}"),
        })
    }

    fn error(&self, refusal: Refusal) -> WriteError {
        let plural = self.target.resource.plural;
        WriteError {
            verb: self.verb,
            plural: self
                .subresource
                .map_or_else(|| plural.to_owned(), |name| format!("{plural}/{name}")),
            key: self.target.key(),
            refusal,
        }
    }
}
