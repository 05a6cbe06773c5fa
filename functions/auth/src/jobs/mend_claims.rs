//! Gives accounts back their address whose registration ended before its claim was made to last.

use coder_core::Failure;
use coder_database::Filter;
use coder_handler::{Cause, Invocation};
use jiff::SignedDuration;

use crate::Auth;
use crate::service::erasure;

/// Hours for which new accounts are looked at, so that a few missed runs do no harm.
const HOURS: i64 = 6;

pub(crate) async fn run(auth: Auth, run: Invocation) -> Result<(), Failure> {
    let since = auth.runtime.ambient.now() - SignedDuration::from_hours(HOURS);
    let new = Filter::Gt("createdAt".into(), since.to_string().into());
    for (_, identity) in erasure::everywhere(&run, &auth.identities, new).await? {
        auth.restore_claim(Cause::Job(&run), &identity).await?;
    }
    Ok(())
}
