//! Answers of success. A handler's return type says status, body and headers, and documents itself.

use coder_core::{Failure, StoredAnswer};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::describe::{AnswerDescription, Example, OperationDescription, lazily};
use crate::schema;

const JSON: &str = "application/json";

/// An answer on its way out.
#[derive(Debug)]
pub enum Reply {
    /// Whole, and could be kept.
    Stored(StoredAnswer),
    /// Sent as it comes.
    Streamed(axum::response::Response),
}

/// What a handler can answer with.
pub trait Answer: Send + Sized {
    /// Adds the answer to the operation's description.
    fn describe(operation: &mut OperationDescription);
    /// The answer as it is sent, and kept under an idempotency key.
    fn render(&self) -> Result<StoredAnswer, Failure>;
    /// The answer as it is sent.
    fn into_reply(self) -> Result<Reply, Failure> {
        self.render().map(Reply::Stored)
    }
}

/// A schema and an example: the documentation of a body.
pub trait Documented: Serialize + JsonSchema + Example + Send + Sync {}
impl<T: Serialize + JsonSchema + Example + Send + Sync> Documented for T {}

/// Describes an answer with a JSON body.
pub fn describe_json<T: Documented>(
    operation: &mut OperationDescription,
    status: u16,
    description: &'static str,
    headers: &'static [&'static str],
) {
    let example = lazily(|| serde_json::to_value(T::example()).unwrap_or_default());
    let body = Some((JSON, lazily(schema::for_openapi::<T>), example));
    operation.answers.push(AnswerDescription { status, description, body, headers });
}

/// Renders a JSON body; its `etag` field becomes the `ETag` header too.
pub fn render_json<T: Serialize>(
    status: u16,
    body: &T,
    mut headers: Vec<(String, String)>,
) -> Result<StoredAnswer, Failure> {
    let value = serde_json::to_value(body).map_err(Failure::internal)?;
    if let Some(etag) = value.get("etag").and_then(Value::as_str) {
        headers.push(("etag".into(), format!("\"{etag}\"")));
    }
    headers.push(("content-type".into(), JSON.into()));
    Ok(StoredAnswer { status, headers, body: value.to_string() })
}

/// `200` with a body.
#[derive(Debug, Clone)]
pub struct Json<T>(pub T);

impl<T: Documented> Answer for Json<T> {
    fn describe(operation: &mut OperationDescription) {
        describe_json::<T>(operation, 200, "Done.", &["ETag"]);
    }

    fn render(&self) -> Result<StoredAnswer, Failure> {
        render_json(200, &self.0, Vec::new())
    }
}

/// `201` with the new resource and its address.
#[derive(Debug, Clone)]
pub struct Created<T> {
    /// The path of the resource.
    pub location: String,
    /// The resource.
    pub body: T,
}

impl<T: Documented> Answer for Created<T> {
    fn describe(operation: &mut OperationDescription) {
        describe_json::<T>(operation, 201, "Created.", &["Location", "ETag"]);
    }

    fn render(&self) -> Result<StoredAnswer, Failure> {
        render_json(201, &self.body, vec![("location".into(), self.location.clone())])
    }
}

/// `202` with the address at which whoever started the work sees how far it is.
#[derive(Debug, Clone)]
pub struct Started<T> {
    /// The path of the work.
    pub location: String,
    /// The work.
    pub body: T,
}

impl<T: Documented> Answer for Started<T> {
    fn describe(operation: &mut OperationDescription) {
        describe_json::<T>(operation, 202, "Accepted; the work goes on.", &["Location", "ETag"]);
    }

    fn render(&self) -> Result<StoredAnswer, Failure> {
        render_json(202, &self.body, vec![("location".into(), self.location.clone())])
    }
}

/// `202`: the work goes on after the answer.
#[derive(Debug, Clone)]
pub struct Accepted<T>(pub T);

impl<T: Documented> Answer for Accepted<T> {
    fn describe(operation: &mut OperationDescription) {
        describe_json::<T>(operation, 202, "Accepted; the work goes on.", &[]);
    }

    fn render(&self) -> Result<StoredAnswer, Failure> {
        render_json(202, &self.0, Vec::new())
    }
}

/// `204`, nothing to say.
#[derive(Debug, Clone, Copy)]
pub struct NoContent;

impl Answer for NoContent {
    fn describe(operation: &mut OperationDescription) {
        operation.answers.push(AnswerDescription {
            status: 204,
            description: "Done.",
            body: None,
            headers: &[],
        });
    }

    fn render(&self) -> Result<StoredAnswer, Failure> {
        Ok(StoredAnswer { status: 204, headers: Vec::new(), body: String::new() })
    }
}

/// A page of a list.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "{T}Page")]
pub struct PageOf<T> {
    /// The resources of this page.
    pub items: Vec<T>,
    /// Send it as `cursor` for the next page; null at the end.
    pub next_cursor: Option<String>,
}

/// An item's own schema has the example of an item.
impl<T> Example for PageOf<T> {
    fn example() -> Self {
        Self { items: Vec::new(), next_cursor: None }
    }
}
