//! Finding members by the beginning of their name or address.

use coder_database::Filter;
use coder_middleware::List;

use crate::names::folded;

/// The members whose name begins so, or whose e-mail address does, where the caller may see addresses.
pub(super) fn begins(text: &str, with_email: bool) -> Filter {
    let name = Filter::StartsWith("person.foldedName".to_owned(), folded(text));
    let email = Filter::StartsWith("person.email".to_owned(), text.trim().to_lowercase());
    if with_email { Filter::Or(vec![name, email]) } else { name }
}

/// The list with its sort field as it is stored: names sort whatever their case.
pub(super) fn by_stored_field<F>(mut list: List<F>) -> List<F> {
    if list.order.0 == "displayName" {
        "person.foldedName".clone_into(&mut list.order.0);
    }
    list
}

/// All the filters at once; none if there is none.
pub(super) fn all_of(filters: impl IntoIterator<Item = Option<Filter>>) -> Option<Filter> {
    let filters: Vec<Filter> = filters.into_iter().flatten().collect();
    (!filters.is_empty()).then_some(Filter::And(filters))
}
