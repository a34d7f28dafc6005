//! Answers without an object: `metav1.Status`, in the server's own words.

use ironkeel_runtime::resource::Resource;
use serde_json::{Map, Value, json};

use super::Response;

/// What is wrong with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldReason {
    Required,
    Invalid,
    TypeInvalid,
    Forbidden,
    NotSupported,
    Duplicate,
    TooLong,
    TooMany,
}

impl FieldReason {
    const fn cause(self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Invalid => "FieldValueInvalid",
            Self::TypeInvalid => "FieldValueTypeInvalid",
            Self::Forbidden => "FieldValueForbidden",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Duplicate => "FieldValueDuplicate",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Required => "Required value",
            Self::Invalid | Self::TypeInvalid => "Invalid value",
            Self::Forbidden => "Forbidden",
            Self::NotSupported => "Unsupported value",
            Self::Duplicate => "Duplicate value",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
        }
    }

    /// Whether the rules of a custom kind are not looked at after such an error.
    pub(super) const fn blocks_rules(self) -> bool {
        matches!(
            self,
            Self::NotSupported | Self::Required | Self::TooLong | Self::TooMany | Self::TypeInvalid
        )
    }
}

/// One broken rule of one field.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FieldError {
    pub(super) reason: FieldReason,
    pub(super) field: String,
    /// Reason, value and detail, as a cause's message has them.
    pub(super) body: String,
}

impl FieldError {
    pub(super) fn new(
        reason: FieldReason,
        field: impl Into<String>,
        value: Option<&Value>,
        detail: &str,
    ) -> Self {
        let mut body = reason.words().to_owned();
        if let Some(value) = value {
            body.push_str(": ");
            body.push_str(&value.to_string());
        }
        if !detail.is_empty() {
            body.push_str(": ");
            body.push_str(detail);
        }
        Self {
            reason,
            field: field.into(),
            body,
        }
    }

    pub(super) fn invalid(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        Self::new(FieldReason::Invalid, field, Some(value), detail)
    }

    pub(super) fn required(field: impl Into<String>, detail: &str) -> Self {
        Self::new(FieldReason::Required, field, None, detail)
    }

    pub(super) fn forbidden(field: impl Into<String>, detail: &str) -> Self {
        Self::new(FieldReason::Forbidden, field, None, detail)
    }

    /// A value that is none of `supported`.
    pub(super) fn not_supported(
        field: impl Into<String>,
        value: &Value,
        supported: &[&str],
    ) -> Self {
        let supported: Vec<String> = supported.iter().map(|one| format!("{one:?}")).collect();
        let detail = format!("supported values: {}", supported.join(", "));
        Self::new(FieldReason::NotSupported, field, Some(value), &detail)
    }
}

/// A refusal.
pub(super) fn failure(code: u16, reason: &str, message: &str, details: Value) -> Response {
    let mut body = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    });
    if !details.is_null() {
        body["details"] = details;
    }
    Response::new(code, body.to_string())
}

/// Which object a refusal is about.
pub(super) fn details(group: &str, kind: &str, name: &str) -> Value {
    let mut details = Map::new();
    for (field, value) in [("name", name), ("group", group), ("kind", kind)] {
        if !value.is_empty() {
            details.insert(field.to_owned(), json!(value));
        }
    }
    Value::Object(details)
}

/// `Kind.group`, which some refusals have instead of the resource.
fn kind_text(group: &str, kind: &str) -> String {
    if group.is_empty() {
        kind.to_owned()
    } else {
        format!("{kind}.{group}")
    }
}

pub(super) fn not_found(resource: Resource, name: &str) -> Response {
    let message = format!("{resource} {name:?} not found");
    let details = details(resource.group, resource.plural, name);
    failure(404, "NotFound", &message, details)
}

/// No such path below a group that is served, or no such verb there.
pub(super) fn no_such_resource() -> Response {
    let message = "the server could not find the requested resource";
    failure(404, "NotFound", message, json!({}))
}

/// No such group: not even a `Status`.
pub(super) fn no_such_path() -> Response {
    Response::new(404, "404 page not found\n")
}

pub(super) fn method_not_allowed() -> Response {
    let message = "the server does not allow this method on the requested resource";
    failure(405, "MethodNotAllowed", message, json!({}))
}

pub(super) fn bad_request(message: &str) -> Response {
    failure(400, "BadRequest", message, Value::Null)
}

pub(super) fn unsupported_media_type(accepted: &str) -> Response {
    let message = format!(
        "the body of the request was in an unknown format - accepted media types include: {accepted}"
    );
    failure(415, "UnsupportedMediaType", &message, Value::Null)
}

pub(super) fn already_exists(resource: Resource, name: &str, is_deleting: bool) -> Response {
    let prefix = if is_deleting {
        "object is being deleted: "
    } else {
        ""
    };
    let message = format!("{prefix}{resource} {name:?} already exists");
    let details = details(resource.group, resource.plural, name);
    failure(409, "AlreadyExists", &message, details)
}

pub(super) fn conflict(resource: Resource, name: &str, why: &str) -> Response {
    let message = format!("Operation cannot be fulfilled on {resource} {name:?}: {why}");
    let details = details(resource.group, resource.plural, name);
    failure(409, "Conflict", &message, details)
}

/// A conflict that names the kind, as those of a deletion's preconditions do.
pub(super) fn conflict_of_kind(resource: Resource, name: &str, why: &str) -> Response {
    let kind = kind_text(resource.group, resource.kind);
    let message = format!("Operation cannot be fulfilled on {kind} {name:?}: {why}");
    let details = details(resource.group, resource.kind, name);
    failure(409, "Conflict", &message, details)
}

pub(super) fn forbidden(resource: Resource, name: &str, why: &str) -> Response {
    let message = format!("{resource} {name:?} is forbidden: {why}");
    let details = details(resource.group, resource.plural, name);
    failure(403, "Forbidden", &message, details)
}

/// A create in a namespace that goes away.
pub(super) fn namespace_terminating(resource: Resource, name: &str, namespace: &str) -> Response {
    let message = format!(
        "{resource} {name:?} is forbidden: unable to create new content in namespace {namespace} because it is being terminated"
    );
    let mut details = details(resource.group, resource.plural, name);
    details["causes"] = json!([{
        "reason": "NamespaceTerminating",
        "message": format!("namespace {namespace} is being terminated"),
        "field": "metadata.namespace",
    }]);
    failure(403, "Forbidden", &message, details)
}

/// 422 with each broken rule as a cause.
pub(super) fn invalid(group: &str, kind: &str, name: &str, errors: &[FieldError]) -> Response {
    let mut texts: Vec<String> = Vec::new();
    for error in errors {
        let text = format!("{}: {}", error.field, error.body);
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    let text = match texts.as_slice() {
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    };
    let message = format!("{} {name:?} is invalid: {text}", kind_text(group, kind));
    let causes: Vec<Value> = errors
        .iter()
        .map(|error| {
            json!({
                "reason": error.reason.cause(),
                "message": error.body,
                "field": error.field,
            })
        })
        .collect();
    let mut details = details(group, kind, name);
    details["causes"] = json!(causes);
    failure(422, "Invalid", &message, details)
}

/// 422 of a JSON patch of which an operation, or a test, fails.
pub(super) fn not_applicable() -> Response {
    let message = "the server rejected our request due to an error in our request";
    failure(422, "Invalid", message, json!({}))
}

/// A version that is not kept any more.
pub(super) fn expired(message: &str) -> Response {
    failure(410, "Expired", message, Value::Null)
}

/// A version that this server has not seen yet.
pub(super) fn too_large(asked: u64, current: u64) -> Response {
    let message = format!("Timeout: Too large resource version: {asked}, current: {current}");
    let details = json!({
        "causes": [{ "reason": "ResourceVersionTooLarge", "message": "Too large resource version" }],
        "retryAfterSeconds": 1,
    });
    let mut answer = failure(504, "Timeout", &message, details);
    answer.retry_after = Some(1);
    answer
}

/// An error that the server did not expect.
pub(super) fn without_reason(code: u16, message: &str) -> Response {
    let mut answer = failure(code, "", message, Value::Null);
    let mut body = answer.json();
    if let Value::Object(fields) = &mut body {
        fields.remove("reason");
    }
    answer.body = body.to_string().into();
    answer
}

/// What a deletion of most kinds answers with.
pub(super) fn deleted(resource: Resource, name: &str, uid: &str) -> Response {
    let mut details = details(resource.group, resource.plural, name);
    details["uid"] = json!(uid);
    let body = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details,
    });
    Response::new(200, body.to_string())
}
