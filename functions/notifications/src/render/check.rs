//! Which names of a template the data lacks, whatever branch would be taken.

use std::collections::BTreeSet;

use serde_json::Value;

use super::parse::{Node, Path};
use super::{MAX_STEPS, Scope, Template};

/// A name that the data lacks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unknown {
    /// Line, from 1.
    pub line: usize,
    /// The name.
    pub name: String,
}

/// Every name of the template that is not in the data, each once for each line. Of a list, the first item
/// stands for all; the inside of a loop over an empty list cannot be judged.
pub fn unknown(template: &Template, data: &Value) -> Vec<Unknown> {
    let mut checker = Checker { found: BTreeSet::new(), steps: 0 };
    checker.nodes(&template.nodes, &mut Scope::new(data));
    checker.found.into_iter().collect()
}

struct Checker {
    found: BTreeSet<Unknown>,
    steps: usize,
}

impl Checker {
    fn nodes(&mut self, nodes: &[Node], scope: &mut Scope<'_>) {
        for node in nodes {
            self.steps += 1;
            if self.steps > MAX_STEPS {
                return;
            }
            match node {
                Node::Text(_) => {}
                Node::Value(_, path) => {
                    self.look_up(path, scope);
                }
                Node::If { condition, then, otherwise } => {
                    self.look_up(condition, scope);
                    self.nodes(then, scope);
                    self.nodes(otherwise, scope);
                }
                Node::Each { list, body, otherwise } => {
                    if let Some(first) = self.look_up(list, scope).and_then(|list| list.get(0)) {
                        scope.0.push(first);
                        self.nodes(body, scope);
                        scope.0.pop();
                    }
                    self.nodes(otherwise, scope);
                }
            }
        }
    }

    fn look_up<'a>(&mut self, path: &Path, scope: &Scope<'a>) -> Option<&'a Value> {
        let found = scope.find(path);
        if found.is_none() {
            self.found.insert(Unknown { line: path.line, name: path.segments.join(".") });
        }
        found
    }
}
