//! The declaration itself: every example is a valid request, every operation says who may call it.

use std::collections::BTreeSet;

use coder_middleware::schema;

#[test]
fn every_example_is_a_valid_request() {
    for operation in coder_usage::route_group().operations {
        let Some(body) = &operation.body else { continue };
        let validator = schema::validator(&body.validation).unwrap();
        let mut faults = schema::faults(&validator, &body.example);
        // A patch names what changes; the whole is checked once it is applied.
        faults.retain(|fault| !body.patch || fault.code != "required");
        assert_eq!(faults, [], "{}", operation.id);
    }
}

#[test]
fn every_operation_has_one_access_and_its_own_id() {
    let operations = coder_usage::route_group().operations;
    let ids: BTreeSet<&str> = operations.iter().map(|operation| operation.id).collect();
    assert_eq!(ids.len(), operations.len());
    for operation in &operations {
        assert_eq!(operation.security.len(), 1, "{}", operation.id);
    }
}
