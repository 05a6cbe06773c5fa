//! From a typed async function to a served operation.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::extract::Request;
use axum::response::Response;
use coder_core::{Failure, Result};
use coder_middleware::answer::Reply;
use coder_middleware::chain::{Group, Operation};
use coder_middleware::problem_response::{answer_response, failure_response, problem_response};
use coder_middleware::request::Endpoint;
use coder_middleware::runtime::Runtime;
use coder_middleware::{Answer, Input, OperationDescription, RequestContext, Security};
use http_body_util::{BodyExt as _, LengthLimitError};

/// How often a request runs again because what it read was changed by others meanwhile.
const STALE_TRIES: u32 = 8;

/// A handler: an async function of one to six inputs that gives an [`Answer`].
pub trait Handler<S, Inputs>: Clone + Send + Sync + 'static {
    /// Reads the description off the signature.
    fn describe(operation: &mut OperationDescription);
    /// Takes the inputs out of the request and runs the function.
    fn call(&self, context: RequestContext, service: S) -> impl Future<Output = Result<Reply>> + Send;
}

macro_rules! handler {
    ($($input:ident),+) => {
        impl<S, F, R, A, $($input),+> Handler<S, (A, $($input,)+)> for F
        where
            S: Clone + Send + Sync + 'static,
            F: Fn($($input),+) -> R + Clone + Send + Sync + 'static,
            R: Future<Output = Result<A>> + Send,
            A: Answer,
            $($input: Input<S>),+
        {
            fn describe(operation: &mut OperationDescription) {
                $($input::describe(operation);)+
                A::describe(operation);
            }

            #[expect(non_snake_case, reason = "the macro names each variable after its type")]
            async fn call(&self, context: RequestContext, service: S) -> Result<Reply> {
                $(let $input = $input::extract(&context, &service).await?;)+
                self($($input),+).await?.into_reply()
            }
        }
    };
}

handler!(A1);
handler!(A1, A2);
handler!(A1, A2, A3);
handler!(A1, A2, A3, A4);
handler!(A1, A2, A3, A4, A5);
handler!(A1, A2, A3, A4, A5, A6);

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A handler without its types: what a router can hold.
pub(crate) type Erased<S> = Arc<dyn Fn(RequestContext, S) -> Boxed<Result<Reply>> + Send + Sync>;

pub(crate) fn erase<S, I, H>(handler: H) -> Erased<S>
where
    S: Clone + Send + Sync + 'static,
    H: Handler<S, I>,
{
    Arc::new(move |context, service| {
        let handler = handler.clone();
        Box::pin(async move { handler.call(context, service).await })
    })
}

/// Answers one request: reads the body, applies the limits of public operations, runs the handler, again if
/// what it read was changed meanwhile.
pub(crate) async fn serve<S: Clone + Send + Sync + 'static>(
    endpoint: Arc<Endpoint>,
    runtime: Arc<Runtime>,
    service: S,
    handler: Erased<S>,
    path_values: Vec<(String, String)>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let group = runtime.group;
    let operation = endpoint.operation.id;
    let limit = endpoint.operation.body_limit;
    let declared =
        parts.headers.get(http::header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    let read = if declared.is_some_and(|length| length > limit) {
        Err(coder_middleware::chain::body_too_large(limit))
    } else {
        match http_body_util::Limited::new(body, limit).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if too_large(error.as_ref()) => Err(coder_middleware::chain::body_too_large(limit)),
            Err(_) => Err(coder_core::Problem::new(
                coder_core::Code::RequestTimeout,
                "The request body did not arrive whole.",
            )),
        }
    };
    let context = match read {
        Ok(body) => RequestContext::new(runtime, endpoint, parts, path_values, body),
        Err(problem) => {
            let identity = parts.extensions.get::<coder_middleware::Identity>().cloned().unwrap_or_default();
            return tagged(problem_response(&problem, &identity.request_id), group, operation);
        }
    };
    let request_id = context.identity().request_id.clone();
    let response = match run(&context, service, &handler).await {
        Ok(Reply::Stored(answer)) => answer_response(answer),
        Ok(Reply::Streamed(response)) => response,
        Err(failure) => failure_response(failure, &request_id),
    };
    tagged(response, group, operation)
}

/// Whether a body was cut off by one of the limits around it.
fn too_large(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<LengthLimitError>() {
            return true;
        }
        next = error.source();
    }
    false
}

async fn run<S: Clone + Send + Sync + 'static>(
    context: &RequestContext,
    service: S,
    handler: &Erased<S>,
) -> Result<Reply> {
    // Also where the handler opens no unit of work that would look at it.
    coder_middleware::unit::sent_key(context)?;
    if context.operation().guarded && context.operation().access() == Security::Anyone {
        coder_middleware::chain::guard_public(context).await?;
    }
    if context.operation().write_limited {
        coder_middleware::chain::limit_writes(context).await?;
    }
    let mut tries = 0;
    loop {
        match handler(context.clone(), service.clone()).await {
            Err(Failure::Stale) if tries < STALE_TRIES => tries += 1,
            other => return other,
        }
    }
}

fn tagged(mut response: Response, group: &'static str, operation: &'static str) -> Response {
    response.extensions_mut().insert(Operation(operation));
    response.extensions_mut().insert(Group(group));
    response
}
