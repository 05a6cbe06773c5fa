//! Vectors with 8 bits a number, and what they tell of the true dot product: never too little.
//!
//! A vector is its codes times a step, and an error that is what the codes leave over. With the error's length known
//! the product of the codes bounds that of the vectors (Cauchy and Schwarz).

/// Numbers that are added up together: 32 products of 16-bit numbers become wide instructions on every processor.
const WIDTH: usize = 32;

/// What calculating with 32-bit floats may add to a bound.
const SLACK: f32 = 1e-5;

/// What makes numbers of codes again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Code {
    step: f32,
    /// The length of the error.
    error: f32,
}

/// A wanted vector. It has 16 bits a number, so that it adds nearly nothing to the error.
#[derive(Debug)]
pub(crate) struct Wanted {
    codes: Vec<i16>,
    code: Code,
}

/// Codes of one vector: its numbers, filled up with zeros.
pub(crate) fn stride(dimensions: usize) -> usize {
    dimensions.next_multiple_of(WIDTH)
}

/// Appends the codes of a vector.
pub(crate) fn encode(vector: &[f32], codes: &mut Vec<i8>) -> Code {
    let end = codes.len() + stride(vector.len());
    let code = quantise(vector, f32::from(i8::MAX), |code| {
        #[expect(clippy::cast_possible_truncation, reason = "at most the largest that was given")]
        codes.push(code as i8);
    });
    codes.resize(end, 0);
    code
}

impl Wanted {
    pub(crate) fn new(vector: &[f32]) -> Self {
        // Where all numbers are the largest, their products still fit into 32 bits.
        let room = i32::MAX / i32::from(i8::MAX) / i32::try_from(vector.len().max(1)).unwrap_or(i32::MAX);
        let largest = i16::try_from(room).unwrap_or(i16::MAX);
        let mut codes = Vec::with_capacity(stride(vector.len()));
        let code = quantise(vector, f32::from(largest), |code| {
            #[expect(clippy::cast_possible_truncation, reason = "at most the largest that was given")]
            codes.push(code as i16);
        });
        codes.resize(stride(vector.len()), 0);
        Self { codes, code }
    }

    /// The dot product with the vector of these codes is not larger; both have length one at most.
    pub(crate) fn bound(&self, codes: &[i8], code: Code) -> f32 {
        #[expect(clippy::cast_precision_loss, reason = "the slack covers it")]
        let product = product(codes, &self.codes) as f32;
        product * self.code.step * code.step + (1.0 + self.code.error) * code.error + self.code.error + SLACK
    }
}

/// Gives the codes, which are `largest` at most, one by one.
fn quantise(vector: &[f32], largest: f32, mut give: impl FnMut(i32)) -> Code {
    let most = vector.iter().fold(0.0_f32, |most, number| most.max(number.abs()));
    let step = most / largest;
    let per_step = if step > 0.0 { step.recip() } else { 0.0 };
    let mut left = 0.0;
    for number in vector {
        let code = nearest(number * per_step);
        give(code);
        #[expect(clippy::cast_precision_loss, reason = "a code has 16 bits at most")]
        let error = number - code as f32 * step;
        left += error * error;
    }
    Code { step, error: left.sqrt() }
}

/// Rounds a number of at most 16 bits: at this size a float has no place for fractions, and the integer is in its last
/// bits. Unlike `round` it is a single instruction on every processor.
fn nearest(number: f32) -> i32 {
    const WHOLE: f32 = 12_582_912.0;
    (number + WHOLE).to_bits().cast_signed() - WHOLE.to_bits().cast_signed()
}

fn product(codes: &[i8], wanted: &[i16]) -> i32 {
    let mut total = 0;
    for (codes, wanted) in codes.as_chunks::<WIDTH>().0.iter().zip(wanted.as_chunks::<WIDTH>().0) {
        // An inner loop of fixed length, which the compiler turns into `pmaddwd` without any feature beyond SSE2.
        let mut sum = 0;
        for place in 0..WIDTH {
            sum += i32::from(codes[place]) * i32::from(wanted[place]);
        }
        total += sum;
    }
    total
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unit(numbers: &[f32]) -> Vec<f32> {
        let length = numbers.iter().map(|number| f64::from(*number).powi(2)).sum::<f64>().sqrt();
        #[expect(clippy::cast_possible_truncation, reason = "as the store keeps them")]
        numbers.iter().map(|number| (f64::from(*number) / length.max(f64::MIN_POSITIVE)) as f32).collect()
    }

    fn check(one: &[f32], other: &[f32], loose: f64) {
        let (one, other) = (unit(one), unit(other));
        let exact: f64 = one.iter().zip(&other).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        let mut codes = Vec::new();
        let code = encode(&one, &mut codes);
        let bound = f64::from(Wanted::new(&other).bound(&codes, code));
        assert!(exact <= bound && bound <= exact + loose, "{exact} is bounded by {bound}");
    }

    proptest! {
        #[test]
        fn a_bound_is_never_too_small_and_not_much_too_large(
            pair in (1..200_usize).prop_flat_map(|length| {
                let number = prop_oneof![-1.0_f32..1.0, Just(0.0), Just(1.0), -1e-30_f32..1e-30];
                let vector = prop::collection::vec(number, length);
                (vector.clone(), vector)
            })
        ) {
            check(&pair.0, &pair.1, 0.15);
            check(&pair.0, &pair.0, 0.15);
        }
    }

    #[test]
    fn long_vectors_of_equal_numbers_do_not_overflow() {
        for length in [384, 1536, 3072, 8192] {
            check(&vec![1.0; length], &vec![1.0; length], 0.01);
            check(&vec![1.0; length], &vec![-1.0; length], 0.01);
        }
    }
}
