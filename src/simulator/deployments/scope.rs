//! What template expressions are worth: parameters, variables, and the functions that the Azure CLI writes into its templates.
//!
//! In: a JSON value with expressions in its texts. Out: the value, or a sentence. A function that is not here is an error and never a
//! guess.

use super::expression::{Expression, Start, Step};
use serde_json::{Map, Value, json};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

/// Values, calls and variables inside each other.
const DEEPEST: usize = 128;
/// Values looked at in all: variables that each name another twice would otherwise never end.
const MOST: u32 = 200_000;
/// Characters of a text [DOC resource-manager best-practices: limits].
const LONGEST: usize = 131_072;
/// What `providers(…)` says of every type.
const API_VERSIONS: [&str; 1] = ["2024-07-01"];

/// Where a template is deployed.
#[derive(Clone, Debug)]
pub struct Place {
    /// The subscription.
    pub subscription: String,
    /// The resource group.
    pub group: String,
    /// Its location.
    pub location: String,
}

/// What can be named. It holds passwords, and Debug says none.
#[derive(Clone)]
pub struct Scope {
    /// Where.
    pub place: Place,
    /// By lower-case name.
    pub parameters: BTreeMap<String, Value>,
    /// By lower-case name, with their expressions.
    pub variables: BTreeMap<String, Value>,
    /// Documents that `reference` finds, by lower-case resource id; `None`: the resources are not there yet.
    pub documents: Option<BTreeMap<String, Value>>,
    looks: Cell<u32>,
}

impl Scope {
    /// Nothing has a name yet.
    #[must_use]
    pub const fn new(place: Place) -> Self {
        Self {
            place,
            parameters: BTreeMap::new(),
            variables: BTreeMap::new(),
            documents: None,
            looks: Cell::new(0),
        }
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl Scope {
    /// A value without expressions.
    ///
    /// # Errors
    /// A sentence about the first one that has no worth.
    pub fn value(&self, value: &Value) -> Result<Value, String> {
        self.at(value, 0)
    }

    fn deeper(&self, depth: usize) -> Result<usize, String> {
        self.looks.set(self.looks.get() + 1);
        if depth < DEEPEST && self.looks.get() < MOST {
            return Ok(depth + 1);
        }
        Err("the template's values name each other in a circle, or are too many".to_owned())
    }

    fn at(&self, value: &Value, depth: usize) -> Result<Value, String> {
        let depth = self.deeper(depth)?;
        Ok(match value {
            Value::String(text) => match inside(text) {
                None => json!(text.strip_prefix('[').filter(|t| t.starts_with('[')).unwrap_or(text)),
                Some(inner) => Expression::read(inner)
                    .and_then(|e| self.worth(&e, depth))
                    .map_err(|why| format!("Unable to parse or evaluate template language expression '{text}': {why}."))?,
            },
            Value::Array(items) => items
                .iter()
                .map(|item| self.at(item, depth))
                .collect::<Result<Vec<_>, _>>()?
                .into(),
            Value::Object(map) => map
                .iter()
                .map(|(key, value)| Ok((key.clone(), self.at(value, depth)?)))
                .collect::<Result<Map<_, _>, String>>()?
                .into(),
            other => other.clone(),
        })
    }

    fn worth(&self, expression: &Expression, depth: usize) -> Result<Value, String> {
        let depth = self.deeper(depth)?;
        let mut value = match &expression.start {
            Start::Text(text) => json!(text),
            Start::Whole(number) => json!(number),
            Start::Call(name, arguments) => {
                let arguments = arguments.iter().map(|a| self.worth(a, depth));
                self.call(name, &arguments.collect::<Result<Vec<_>, _>>()?, depth)?
            }
        };
        for step in &expression.steps {
            value = match step {
                Step::Property(name) => property(&value, name)?,
                Step::Item(item) => match (self.worth(item, depth)?, &value) {
                    (Value::String(name), Value::Object(_)) => property(&value, &name)?,
                    (index, Value::Array(items)) => index
                        .as_u64()
                        .and_then(|i| items.get(usize::try_from(i).ok()?))
                        .cloned()
                        .ok_or_else(|| format!("the array index '{index}' is out of bounds"))?,
                    (index, _) => return Err(format!("there is nothing to take '{index}' of")),
                },
            };
        }
        Ok(value)
    }

    fn call(&self, name: &str, arguments: &[Value], depth: usize) -> Result<Value, String> {
        let one = || match arguments {
            [Value::String(text)] => Ok(text.to_lowercase()),
            _ => Err(format!("the function '{name}' takes one text")),
        };
        let absent = |kind: &str| {
            format!(
                "the template {kind} '{}' is not found",
                arguments[0].as_str().unwrap_or_default()
            )
        };
        let Place {
            subscription,
            group,
            location,
        } = &self.place;
        match name.to_lowercase().as_str() {
            "parameters" => {
                let found = self.parameters.get(&one()?);
                found.cloned().ok_or_else(|| absent("parameter"))
            }
            "variables" => {
                let found = self.variables.get(&one()?);
                self.at(found.ok_or_else(|| absent("variable"))?, depth)
            }
            "concat" => concat(arguments),
            "resourceid" => self.resource_id(arguments).map(Value::String),
            "reference" => self.reference(arguments),
            "providers" => match arguments {
                [Value::String(namespace), Value::String(kind)] => Ok(
                    json!({"resourceType": kind, "namespace": namespace, "locations": [location], "apiVersions": API_VERSIONS}),
                ),
                _ => Err("the function 'providers' takes a namespace and a type".to_owned()),
            },
            "resourcegroup" if arguments.is_empty() => Ok(json!({
                "id": format!("/subscriptions/{subscription}/resourceGroups/{group}"), "name": group,
                "type": "Microsoft.Resources/resourceGroups", "location": location, "properties": {"provisioningState": "Succeeded"},
            })),
            "subscription" if arguments.is_empty() => Ok(
                json!({"id": format!("/subscriptions/{subscription}"), "subscriptionId": subscription}),
            ),
            _ => Err(format!(
                "the template function '{name}' with {} arguments is not valid here, or the simulator does not know it",
                arguments.len()
            )),
        }
    }

    /// `resourceId([subscription], [group], type, name…)`
    fn resource_id(&self, arguments: &[Value]) -> Result<String, String> {
        let wrong = || {
            "the function 'resourceId' takes a type with its namespace and a name for each of its parts".to_owned()
        };
        let texts: Vec<&str> = arguments
            .iter()
            .map(|a| a.as_str().ok_or_else(wrong))
            .collect::<Result<_, _>>()?;
        let at = texts
            .iter()
            .position(|t| t.contains('/'))
            .ok_or_else(wrong)?;
        let (before, rest) = texts.split_at(at);
        let place = &self.place;
        let (subscription, group) = match before {
            [] => (place.subscription.as_str(), place.group.as_str()),
            [group] => (place.subscription.as_str(), *group),
            [subscription, group] => (*subscription, *group),
            _ => return Err(wrong()),
        };
        let (kind, names) = rest.split_first().ok_or_else(wrong)?;
        let tail = interleaved(kind, names).ok_or_else(wrong)?;
        Ok(format!(
            "/subscriptions/{subscription}/resourceGroups/{group}/providers/{tail}"
        ))
    }

    /// Properties of a resource of this template, or with `'Full'` all of it.
    fn reference(&self, arguments: &[Value]) -> Result<Value, String> {
        let (id, full) = match arguments {
            [Value::String(id)] | [Value::String(id), Value::String(_)] => (id, false),
            [Value::String(id), Value::String(_), Value::String(word)]
                if word.eq_ignore_ascii_case("full") =>
            {
                (id, true)
            }
            _ => {
                return Err(
                    "the function 'reference' takes a resource, an API version and 'Full'"
                        .to_owned(),
                );
            }
        };
        let Some(documents) = &self.documents else {
            return Err("the simulator knows the function 'reference' in outputs only".to_owned());
        };
        let (lower, suffix) = (id.to_lowercase(), format!("/{}", id.to_lowercase()));
        let mut found = documents.iter().filter(|(known, _)| {
            **known == lower || (!id.starts_with('/') && known.ends_with(&suffix))
        });
        match (found.next(), found.next()) {
            (Some((_, document)), None) if full => Ok(document.clone()),
            (Some((_, document)), None) => Ok(document["properties"].clone()),
            _ => Err(format!(
                "the resource '{id}' is not one that this template defines"
            )),
        }
    }
}

/// The expression in a text that is one.
fn inside(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('[')?;
    inner.strip_suffix(']').filter(|_| !inner.starts_with('['))
}

/// `Namespace/a/b` and names become `Namespace/a/NAME/b/NAME`; `None`: their numbers differ.
pub fn interleaved(kind: &str, names: &[&str]) -> Option<String> {
    let mut parts = kind.split('/');
    let namespace = parts.next()?;
    let parts: Vec<&str> = parts.collect();
    (parts.len() == names.len() && !parts.is_empty()).then(|| {
        let pairs = parts.iter().zip(names);
        pairs.fold(namespace.to_owned(), |path, (part, name)| {
            format!("{path}/{part}/{name}")
        })
    })
}

fn property(value: &Value, name: &str) -> Result<Value, String> {
    let map = value.as_object();
    let known = || map.into_iter().flatten();
    let found = known().find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.clone()).ok_or_else(|| {
        let names: Vec<&str> = known().map(|(key, _)| key.as_str()).collect();
        format!("the language expression property '{name}' doesn't exist, available properties are '{}'", names.join(", "))
    })
}

fn concat(arguments: &[Value]) -> Result<Value, String> {
    if let [Value::Array(_), ..] = arguments {
        let lists = arguments.iter().map(|a| a.as_array().cloned());
        let lists: Option<Vec<_>> = lists.collect();
        return lists
            .map(|l| l.concat().into())
            .ok_or_else(|| "the function 'concat' takes either texts or arrays".to_owned());
    }
    let texts = arguments.iter().map(|a| match a {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err("the function 'concat' takes either texts or arrays".to_owned()),
    });
    let text = texts.collect::<Result<String, _>>()?;
    if text.len() > LONGEST {
        return Err(format!("a text has more than {LONGEST} characters"));
    }
    Ok(Value::String(text))
}
