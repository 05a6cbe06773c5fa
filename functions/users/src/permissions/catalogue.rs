//! The permission catalogue of the whole platform, and the built-in roles that follow from it.

use coder_core::permission::{BuiltInRole, PermissionDeclaration};
use coder_core::{Code, Fault, Pattern, Problem};

use crate::model::{OrganizationSettings, Role};

/// What `viewer` holds, and every higher role with it.
const EVERY_READ: &str = "*.*.read";
/// Held by members where the organization's settings say so.
const PROJECT_CREATE: &str = "users.project.create";
/// Held by members where the organization's settings say so.
const INVITATION_CREATE: &str = "users.invitation.create";
/// Operators' permissions; configuration gives them, never a role.
const OPERATORS: &str = "platform.";

/// Every permission that an organization can give, sorted by name.
#[derive(Debug, Clone)]
pub struct Catalogue {
    declarations: Vec<PermissionDeclaration>,
}

impl Catalogue {
    /// The catalogue of these declarations, usually those of every group. Operators' permissions are left out.
    pub fn new(declarations: &[PermissionDeclaration]) -> Self {
        let of_organizations = |one: &&PermissionDeclaration| !one.name.starts_with(OPERATORS);
        let mut declarations: Vec<_> = declarations.iter().filter(of_organizations).copied().collect();
        declarations.sort_by_key(|one| one.name);
        declarations.dedup_by_key(|one| one.name);
        Self { declarations }
    }

    /// Every declaration, sorted by name.
    pub fn declarations(&self) -> &[PermissionDeclaration] {
        &self.declarations
    }

    /// Every name, sorted.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.declarations.iter().map(|one| one.name)
    }

    /// Whether there is this permission.
    pub fn contains(&self, name: &str) -> bool {
        self.declarations.binary_search_by(|one| one.name.cmp(name)).is_ok()
    }

    /// The names that a pattern covers.
    pub fn matching<'a>(&'a self, pattern: &'a Pattern) -> impl Iterator<Item = &'static str> + 'a {
        self.names().filter(|name| pattern.matches(name))
    }

    /// The patterns in a request, sorted and without repeats; or `422`, with the code `unknown_permission` if
    /// that is all that is wrong. A pattern that covers nothing is unknown too: it is a spelling error.
    pub fn patterns(&self, pointer: &str, texts: &[String]) -> Result<Vec<Pattern>, Problem> {
        let mut patterns = Vec::with_capacity(texts.len());
        let mut faults = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            let at = format!("{pointer}/{index}");
            match Pattern::parse(text) {
                None => faults.push(Fault::new(
                    at,
                    "invalid_format",
                    "A permission is `<group>.<resource>.<action>`; `*` stands for a segment or, last, for the rest.",
                )),
                Some(pattern) if self.matching(&pattern).next().is_none() => faults.push(Fault::new(
                    at,
                    Code::UnknownPermission.as_str(),
                    format!("No permission is called `{text}`; `GET /api/users/permissions` lists them."),
                )),
                Some(pattern) => patterns.push(pattern),
            }
        }
        if faults.is_empty() {
            patterns.sort();
            patterns.dedup();
            return Ok(patterns);
        }
        let unknown = faults.iter().all(|fault| fault.code == Code::UnknownPermission.as_str());
        let problem = Problem::invalid(faults);
        Err(if unknown { Problem { code: Code::UnknownPermission, ..problem } } else { problem })
    }

    /// The built-in roles, highest first, as an organization with these settings has them.
    pub fn built_in_roles(&self, settings: &OrganizationSettings) -> Vec<Role> {
        BuiltInRole::ALL.into_iter().map(|role| self.built_in_role(role, settings)).collect()
    }

    /// The built-in roles that hold a permission, highest first.
    pub fn holders(&self, name: &str, settings: &OrganizationSettings) -> Vec<BuiltInRole> {
        let Ok(index) = self.declarations.binary_search_by(|one| one.name.cmp(name)) else {
            return Vec::new();
        };
        let declaration = &self.declarations[index];
        let reads = Pattern::parse(EVERY_READ).is_some_and(|pattern| pattern.matches(name));
        BuiltInRole::ALL
            .into_iter()
            .filter(|role| reads || *role >= least_holder(declaration, settings))
            .collect()
    }

    fn built_in_role(&self, role: BuiltInRole, settings: &OrganizationSettings) -> Role {
        let every_read = Pattern::parse(EVERY_READ);
        let listed = self
            .declarations
            .iter()
            .filter(|one| role >= least_holder(one, settings))
            .filter(|one| !every_read.as_ref().is_some_and(|pattern| pattern.matches(one.name)));
        let permissions = match role {
            BuiltInRole::Owner => Pattern::parse("*").into_iter().collect(),
            BuiltInRole::Viewer => every_read.into_iter().collect(),
            BuiltInRole::Admin | BuiltInRole::Member => every_read
                .clone()
                .into_iter()
                .chain(listed.filter_map(|one| Pattern::parse(one.name)))
                .collect(),
        };
        Role {
            name: role.as_str().to_owned(),
            description: Some(description(role).to_owned()),
            permissions,
            inherits: Vec::new(),
            built_in: true,
        }
    }
}

/// The least of the built-in roles that holds a permission in an organization with these settings.
fn least_holder(declaration: &PermissionDeclaration, settings: &OrganizationSettings) -> BuiltInRole {
    match declaration.name {
        PROJECT_CREATE if !settings.members_may_create_projects => BuiltInRole::Admin,
        INVITATION_CREATE if settings.members_may_invite => BuiltInRole::Member,
        _ => declaration.held_by,
    }
}

fn description(role: BuiltInRole) -> &'static str {
    match role {
        BuiltInRole::Owner => "Everything, and who else is an owner.",
        BuiltInRole::Admin => "Everything but deleting the organization and changing owners.",
        BuiltInRole::Member => "Reads everything and works on ordinary resources.",
        BuiltInRole::Viewer => "Reads everything that is not privileged.",
    }
}
