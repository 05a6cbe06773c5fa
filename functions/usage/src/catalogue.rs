//! The permissions of this group, each with the least of the built-in roles that holds it. What people used is seen
//! with `usage.report.inspect`; everybody sees their own.

coder_core::permissions! {
    EventCreate = "usage.event.create", Admin, "Report use; meant for services and API keys.";
    EventRead = "usage.event.read", Viewer, "See the events of one's own use.";
    ReportRead = "usage.report.read", Viewer, "See what the organization, its teams and projects use.";
    ReportInspect = "usage.report.inspect", Admin, "See what each person uses.";
    CounterRead = "usage.counter.read", Viewer, "See the live use of teams and projects.";
    CategoryRead = "usage.category.read", Viewer, "See categories.";
    CategoryCreate = "usage.category.create", Admin, "Add a category.";
    CategoryUpdate = "usage.category.update", Admin, "Change a category.";
    CategoryDelete = "usage.category.delete", Admin, "Delete a category that nothing uses.";
    QuotaRead = "usage.quota.read", Viewer, "See quotas.";
    QuotaCreate = "usage.quota.create", Admin, "Create a quota.";
    QuotaUpdate = "usage.quota.update", Admin, "Change a quota.";
    QuotaDelete = "usage.quota.delete", Admin, "Delete a quota.";
    QuotaCheck = "usage.quota.check", Member, "Ask whether use would be allowed.";
    QuotaReserve = "usage.quota.reserve", Member, "Reserve use, and commit or release it.";
    BudgetRead = "usage.budget.read", Viewer, "See budgets and where they stand.";
    BudgetCreate = "usage.budget.create", Admin, "Create a budget.";
    BudgetUpdate = "usage.budget.update", Admin, "Change a budget.";
    BudgetDelete = "usage.budget.delete", Admin, "Delete a budget.";
    AlertRead = "usage.alert.read", Viewer, "See alerts.";
    AlertAcknowledge = "usage.alert.acknowledge", Member, "Acknowledge an alert.";
    PriceRead = "usage.price.read", Viewer, "See prices and estimate costs.";
    PriceCreate = "usage.price.create", Admin, "Create a price.";
    PriceUpdate = "usage.price.update", Admin, "Change or end a price.";
    PriceDelete = "usage.price.delete", Admin, "Delete a price that was never applied.";
    StatementRead = "usage.statement.read", Viewer, "See statements.";
}

#[cfg(test)]
mod tests {
    use super::PERMISSIONS;
    use coder_core::Pattern;
    use coder_core::permission::BuiltInRole;

    #[test]
    fn names_are_unique_literals_of_this_group_and_every_read_is_a_viewers() {
        for declaration in PERMISSIONS {
            let name = declaration.name;
            assert!(
                Pattern::parse(name).is_some() && !name.contains('*') && name.starts_with("usage."),
                "{name}"
            );
            assert_eq!(PERMISSIONS.iter().filter(|other| other.name == name).count(), 1, "{name}");
            assert_eq!(
                declaration.held_by == BuiltInRole::Viewer,
                name.rsplit('.').next() == Some("read"),
                "{name}"
            );
        }
        let of = |role| PERMISSIONS.iter().filter(|p| p.held_by == role).map(|p| p.name).collect::<Vec<_>>();
        let members = ["usage.quota.check", "usage.quota.reserve", "usage.alert.acknowledge"];
        assert_eq!(of(BuiltInRole::Member), members);
    }
}
