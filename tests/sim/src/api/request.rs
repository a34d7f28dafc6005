//! Requests and answers, as they cross the wire.

use bytes::Bytes;
use http::Method;
use ironkeel_runtime::resource::Resource;
use serde_json::{Value, json};

/// A request to the API server.
#[derive(Clone, Debug)]
pub struct Request {
    /// GET, POST, PUT, PATCH or DELETE.
    pub method: Method,
    /// Path without query.
    pub path: String,
    /// Query without the question mark, still encoded; may be empty.
    pub query: String,
    /// `Content-Type`; decides the kind of a patch. May be empty.
    pub content_type: String,
    /// `Accept`; answers are JSON whatever it says. May be empty.
    pub accept: String,
    /// Body; may be empty.
    pub body: Bytes,
}

impl Request {
    fn new(method: Method, path: String, content_type: &str, body: Bytes) -> Self {
        let (path, query) = match path.split_once('?') {
            Some((path, query)) => (path.to_owned(), query.to_owned()),
            None => (path, String::new()),
        };
        Self {
            method,
            path,
            query,
            content_type: content_type.to_owned(),
            accept: "application/json".to_owned(),
            body,
        }
    }

    /// GET of `path`, which may have a query.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path.into(), "", Bytes::new())
    }

    /// POST of an object to `path`: a collection or a subresource such as `binding`.
    pub fn post(path: impl Into<String>, object: &Value) -> Self {
        let body = object.to_string().into();
        Self::new(Method::POST, path.into(), "application/json", body)
    }

    /// Creates `object` in `namespace`.
    pub fn create(resource: Resource, namespace: &str, object: &Value) -> Self {
        Self::post(resource.path(Some(namespace), None, None), object)
    }

    /// PUT of an object.
    pub fn put(path: impl Into<String>, object: &Value) -> Self {
        let body = object.to_string().into();
        Self::new(Method::PUT, path.into(), "application/json", body)
    }

    /// JSON merge patch of an object or a subresource.
    pub fn merge_patch(path: impl Into<String>, changes: &Value) -> Self {
        let kind = "application/merge-patch+json";
        Self::new(Method::PATCH, path.into(), kind, changes.to_string().into())
    }

    /// Strategic merge patch of an object or a subresource.
    pub fn strategic_patch(path: impl Into<String>, changes: &Value) -> Self {
        let kind = "application/strategic-merge-patch+json";
        Self::new(Method::PATCH, path.into(), kind, changes.to_string().into())
    }

    /// DELETE with `DeleteOptions`, of which `options` has the fields beside kind and version; null for no body.
    pub fn delete(path: impl Into<String>, options: &Value) -> Self {
        let mut body = options.clone();
        if let Some(body) = body.as_object_mut() {
            body.insert("kind".to_owned(), json!("DeleteOptions"));
            body.insert("apiVersion".to_owned(), json!("v1"));
        }
        let body = match body {
            Value::Null => Bytes::new(),
            body => body.to_string().into(),
        };
        Self::new(Method::DELETE, path.into(), "application/json", body)
    }
}

/// An answer of the API server.
#[derive(Clone, Debug)]
pub struct Response {
    /// HTTP status.
    pub code: u16,
    /// JSON: the object, a list or a `Status`.
    pub body: Bytes,
    /// Header `Retry-After`, in seconds.
    pub retry_after: Option<u32>,
    /// Texts of `Warning` headers.
    pub warnings: Vec<String>,
}

impl Response {
    /// An answer without headers.
    pub fn new(code: u16, body: impl Into<Bytes>) -> Self {
        Self {
            code,
            body: body.into(),
            retry_after: None,
            warnings: Vec::new(),
        }
    }

    /// Whether the request had success.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// The body as a tree; null where it is no JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}
