//! Compares what the system says with what a data set expects, and lists each difference with its place.

use serde::Serialize;
use serde_json::{Map, Number, Value};

/// One place where the system says something else than expected.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// The file in `expected/`, and the way to the value within it.
    pub path: String,
    /// What is expected; null where nothing is.
    pub expected: Value,
    /// What the system says; null where it says nothing.
    pub got: Value,
}

/// The differences of a part, and how many values were looked at.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Comparison {
    /// How many values were compared.
    pub values: u64,
    /// Where they differ.
    pub differences: Vec<Difference>,
}

impl Comparison {
    /// Compares two values that stand at `path`.
    ///
    /// Numbers are compared as numbers (3 is 3.0). A count that is absent is 0, and an absent value is null. Lists are
    /// compared in their order.
    pub fn of(path: &str, expected: &Value, got: &Value) -> Self {
        let mut comparison = Self::default();
        comparison.compare(path, expected, got);
        comparison
    }

    /// Whether nothing differs.
    pub fn is_equal(&self) -> bool {
        self.differences.is_empty()
    }

    /// Adds what another comparison found.
    pub fn join(&mut self, other: Self) {
        self.values += other.values;
        self.differences.extend(other.differences);
    }

    fn compare(&mut self, path: &str, expected: &Value, got: &Value) {
        match (expected, got) {
            (Value::Object(expected), Value::Object(got)) => {
                self.compare_objects(path, expected, got)
            }
            (Value::Array(expected), Value::Array(got)) => {
                let length = expected.len().max(got.len());
                // An empty list is a value too.
                self.values += u64::from(length == 0);
                for place in 0..length {
                    let at = |list: &[Value]| list.get(place).cloned().unwrap_or_default();
                    self.compare(&format!("{path}[{place}]"), &at(expected), &at(got));
                }
            }
            (expected, got) => {
                self.values += 1;
                if !same(expected, got) {
                    let difference = Difference {
                        path: path.to_owned(),
                        expected: expected.clone(),
                        got: got.clone(),
                    };
                    self.differences.push(difference);
                }
            }
        }
    }

    fn compare_objects(
        &mut self,
        path: &str,
        expected: &Map<String, Value>,
        got: &Map<String, Value>,
    ) {
        let unexpected = got.iter().filter(|(key, _)| !expected.contains_key(*key));
        let pairs = expected
            .iter()
            .map(|(key, value)| (key, value, got.get(key).unwrap_or(&Value::Null)));
        for (key, expected, got) in
            pairs.chain(unexpected.map(|(key, value)| (key, &Value::Null, value)))
        {
            let path = if path.is_empty() {
                key.clone()
            } else {
                format!("{path}.{key}")
            };
            self.compare(&path, expected, got);
        }
    }
}

/// Whole numbers, as money is, never pass through floating point, where large neighbours are the same.
fn same_number(expected: &Number, got: &Number) -> bool {
    match (whole(expected), whole(got)) {
        (Some(expected), Some(got)) => expected == got,
        _ => expected.as_f64() == got.as_f64(),
    }
}

fn whole(number: &Number) -> Option<i128> {
    let signed = number.as_i64().map(i128::from);
    signed.or_else(|| number.as_u64().map(i128::from))
}

fn same(expected: &Value, got: &Value) -> bool {
    let is_zero = |value: &Value| value.as_f64() == Some(0.0);
    match (expected, got) {
        (Value::Number(expected), Value::Number(got)) => same_number(expected, got),
        (Value::Null, got) => got.is_null() || is_zero(got),
        (expected, Value::Null) => is_zero(expected),
        (expected, got) => expected == got,
    }
}

/// Turns lists of objects into objects, each keyed by the value of one of its fields, so that one that is missing shows
/// as itself and doesn't shift all that follow.
pub fn keyed(list: &Value, key: &str) -> Value {
    let Some(list) = list.as_array() else {
        return list.clone();
    };
    let text = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    list.iter()
        .map(|one| (one.get(key).map(text).unwrap_or_default(), one.clone()))
        .collect::<Map<_, _>>()
        .into()
}

/// Sorts the lists that stand under that key anywhere below: they are sets, and their order says nothing.
pub fn sort_sets(value: &mut Value, keys: &[&str]) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                if let Value::Array(list) = value
                    && keys.contains(&key.as_str())
                {
                    list.sort_by_key(Value::to_string);
                }
                sort_sets(value, keys);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|one| sort_sets(one, keys)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn differences(expected: Value, got: Value) -> Vec<(String, Value, Value)> {
        let mut found = Comparison::of("t", &expected, &got).differences;
        found.sort_by(|one, other| one.path.cmp(&other.path));
        found
            .into_iter()
            .map(|one| (one.path, one.expected, one.got))
            .collect()
    }

    #[test]
    fn equal_values_have_no_difference() {
        let value = json!({"a": [1, {"b": null}], "c": "x", "d": 2});
        let comparison = Comparison::of("", &value, &json!({"d": 2.0, "c": "x", "a": [1, {}]}));
        assert_eq!(comparison.differences, []);
        assert_eq!(comparison.values, 4);
    }

    #[test]
    fn sums_that_are_one_in_floating_point_are_still_told_apart() {
        for (expected, got) in [
            (9_007_199_254_740_993_u64, 9_007_199_254_740_992_u64),
            (u64::MAX, u64::MAX - 1),
        ] {
            assert_eq!(differences(json!(expected), json!(got)).len(), 1);
            assert_eq!(differences(json!(got), json!(got)), []);
        }
        assert_eq!(differences(json!(-3), json!(-3.0)), []);
        assert_eq!(differences(json!(-3), json!(3)).len(), 1);
    }

    #[test]
    fn each_difference_is_listed_with_its_path() {
        let expected = json!({"towns": {"350524100": {"PRIORITY": 77}}, "rows": [{"row": 4, "outcome": "ACCEPTED"}]});
        let got = json!({"towns": {"350524100": {"PRIORITY": 78}}, "rows": [{"row": 4, "outcome": "REJECTED"}]});
        assert_eq!(
            differences(expected, got),
            [
                (
                    "t.rows[0].outcome".to_owned(),
                    json!("ACCEPTED"),
                    json!("REJECTED")
                ),
                (
                    "t.towns.350524100.PRIORITY".to_owned(),
                    json!(77),
                    json!(78)
                ),
            ]
        );
    }

    #[test]
    fn what_is_missing_and_what_is_not_expected_are_differences() {
        assert_eq!(
            differences(json!({"a": 1}), json!({"b": "x"})),
            [
                ("t.a".to_owned(), json!(1), Value::Null),
                ("t.b".to_owned(), Value::Null, json!("x")),
            ]
        );
        assert_eq!(
            differences(json!(["x"]), json!([])),
            [("t[0]".to_owned(), json!("x"), Value::Null)]
        );
    }

    #[test]
    fn an_absent_count_is_nought() {
        assert_eq!(differences(json!({"GENERAL": 0}), json!({"ERASED": 0})), []);
    }

    #[test]
    fn a_missing_row_does_not_shift_the_others() {
        let (expected, got) = (
            json!([{"row": 4}, {"row": 5}, {"row": 6}]),
            json!([{"row": 4}, {"row": 6}]),
        );
        let found = differences(keyed(&expected, "row"), keyed(&got, "row"));
        assert_eq!(found, [("t.5".to_owned(), json!({"row": 5}), Value::Null)]);
    }

    #[test]
    fn the_order_of_a_set_says_nothing() {
        let mut value = json!({"x": [{"categories": ["B", "A"], "reasons": ["B", "A"]}]});
        sort_sets(&mut value, &["categories"]);
        assert_eq!(
            value,
            json!({"x": [{"categories": ["A", "B"], "reasons": ["B", "A"]}]})
        );
    }
}
