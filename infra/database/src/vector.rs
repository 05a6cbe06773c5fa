//! Vectors in documents: what every provider takes for one.

use serde_json::Value;

use crate::container::VectorField;
use crate::store::StoreError;

/// The document's vector in this field, at unit length; `None` where the field is missing or null.
pub fn of_body(body: &Value, field: VectorField) -> Result<Option<Vec<f32>>, StoreError> {
    let numbers = match crate::document::field(body, field.field) {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => {
            value.as_array().and_then(|items| items.iter().map(Value::as_f64).collect::<Option<Vec<_>>>())
        }
    };
    let wrong = || invalid(format!("`{}` must be an array of {} numbers", field.field, field.dimensions));
    #[expect(clippy::cast_possible_truncation, reason = "vectors are kept as 32-bit floats")]
    let vector: Vec<f32> = numbers.ok_or_else(wrong)?.into_iter().map(|number| number as f32).collect();
    unit(&vector, field).map(Some)
}

/// The vector at length one; one without direction stays zero and is like nothing.
pub fn unit(vector: &[f32], field: VectorField) -> Result<Vec<f32>, StoreError> {
    let length = vector.iter().map(|number| f64::from(*number).powi(2)).sum::<f64>().sqrt();
    if vector.len() != field.dimensions as usize || !length.is_finite() {
        return Err(invalid(format!("`{}` must be an array of {} numbers", field.field, field.dimensions)));
    }
    #[expect(clippy::cast_possible_truncation, reason = "vectors are kept as 32-bit floats")]
    let scale = |number: &f32| if length > 0.0 { (f64::from(*number) / length) as f32 } else { 0.0 };
    Ok(vector.iter().map(scale).collect())
}

fn invalid(what: String) -> StoreError {
    StoreError::Invalid { what }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_proper_vector_is_taken() {
        let field = VectorField { field: "v", dimensions: 2 };
        let of = |value| of_body(&json!({ "v": value }), field);
        assert_eq!(of(json!([3, 4.0])), Ok(Some(vec![0.6, 0.8])));
        assert_eq!(of(json!([0, 0])), Ok(Some(vec![0.0, 0.0])));
        assert_eq!(of(json!(null)), Ok(None));
        assert_eq!(of_body(&json!({}), field), Ok(None));
        for wrong in [json!([1]), json!([1, 2, 3]), json!([1, "2"]), json!("v"), json!({}), json!([1e300, 0])]
        {
            assert!(matches!(of(wrong.clone()), Err(StoreError::Invalid { .. })), "{wrong}");
        }
    }
}
