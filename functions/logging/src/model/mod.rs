//! What is stored, and where: container `logging`, a partition for each organization (or `platform`) and bucket.
//!
//! | document | bucket | id |
//! |---|---|---|
//! | entry | `YYYY-MM` of its receipt | made from the month and the event id: [`EntryId::of_event`] |
//! | head | `YYYY-MM` | `head` |
//! | checkpoint | `config` | made from its first number |
//! | segment | `config` | `segment:<month>` |
//! | retention-policy, alert-rule, alert, export, verification, erasure | `config` | a UUID |
//! | audit-settings | `config` | `settings` |
//! | alert-position, alert-cooldown, beginning, purged | `config` | bookkeeping, see there |
//! | chunk | `file-<name>` | `chunk:<number>` |
//! | public-key | `config` of the platform | the key's `kid` |

mod alert;
mod checkpoint;
mod entry;
mod export;
mod head;
mod ids;
mod policy;
mod settings;
mod trail;
mod work;

pub use alert::{Alert, AlertCooldown, AlertPosition, AlertRule, AlertState, GroupBy, Notify, RuleKind};
pub use checkpoint::{Checkpoint, PublicKey};
pub use entry::{ActorType, Category, Entry, EntryActor, EntryChange, Erased, Outcome, Severity};
pub use export::{Chunk, Export, ExportFormat, ExportStatus};
pub use head::{Beginning, Head, Purged, Segment};
pub use ids::{
    AlertId, CheckpointId, EntryId, ErasureId, ExportId, PolicyId, RuleId, VerificationId, derived,
};
pub use policy::{PolicyMatch, RetentionPolicy};
pub use settings::{AuditSettings, Capture, LegalHold};
pub use trail::{CONFIG, Month, Trail};
pub use work::{Erasure, Verification, WorkStatus};

/// The name of the group's container.
pub const CONTAINER: &str = "logging";

/// The kinds of claim; both in `config`.
pub mod claims {
    /// Case-folded name of an alert rule.
    pub const RULE_NAME: &str = "alert-rule-name";
    /// What a retention policy matches.
    pub const POLICY_MATCH: &str = "retention-policy-match";
}
