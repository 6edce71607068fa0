//! A template as a plan: its resources in the order in which they can be made, and its outputs.
//!
//! In: the `properties` of a deployment. Out: [`Template`], or a sentence for ARM's `InvalidTemplate`. Nothing is done here. What could
//! change a resource and is not understood (loops, conditions, nested templates) is refused, so that nothing is made by halves.

use super::scope::{Place, Scope, interleaved};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Of a resource, for ARM and not for its provider.
const FOR_ARM: [&str; 6] = [
    "type",
    "name",
    "apiVersion",
    "dependsOn",
    "comments",
    "metadata",
];
/// Of a resource, and not understood.
const NOT_UNDERSTOOD: [&str; 5] = ["copy", "condition", "resources", "scope", "existing"];

/// What is to be made.
#[derive(Debug)]
pub struct Template {
    /// Each after those that it depends on.
    pub resources: Vec<Resource>,
    /// By name, with their expressions.
    pub outputs: Map<String, Value>,
    /// For the outputs.
    pub scope: Scope,
}

/// One resource, its expressions resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// Its id.
    pub id: String,
    /// `Microsoft.Network/virtualNetworks`
    pub kind: String,
    /// Its name, with its parents' before it.
    pub name: String,
    /// The API version to make it with.
    pub version: String,
    /// What its provider gets.
    pub body: Value,
    /// Ids of resources of this template.
    pub depends_on: BTreeSet<String>,
}

impl Template {
    /// Reads the properties of a deployment.
    ///
    /// # Errors
    /// A sentence about the first thing that is wrong or not understood.
    pub fn read(properties: &Value, place: Place) -> Result<Self, String> {
        let template = properties["template"]
            .as_object()
            .ok_or("The deployment has no 'template' that is an object.")?;
        for needed in ["$schema", "contentVersion", "resources"] {
            if !template.contains_key(needed) {
                return Err(format!("The template has no '{needed}'."));
            }
        }
        let section = |name: &str| match template.get(name) {
            None | Some(Value::Null) => Ok(Map::new()),
            Some(Value::Object(map)) => Ok(map.clone()),
            Some(_) => Err(format!("The template's '{name}' must be an object.")),
        };
        if !section("functions").is_ok_and(|f| f.is_empty()) {
            return Err(
                "The simulator does not know templates with functions of their own.".to_owned(),
            );
        }
        let lower = |map: Map<String, Value>| map.into_iter().map(|(k, v)| (k.to_lowercase(), v));
        let mut scope = Scope::new(place);
        scope.variables = lower(section("variables")?).collect();
        scope.parameters = parameters(section("parameters")?, &properties["parameters"], &scope)?;
        let listed = template["resources"]
            .as_array()
            .ok_or("The template's 'resources' must be an array.")?;
        let resources = listed.iter().map(|r| Resource::read(r, &scope));
        let resources = ordered(linked(resources.collect::<Result<_, _>>()?)?)?;
        Ok(Self {
            resources,
            outputs: section("outputs")?,
            scope,
        })
    }
}

/// What was given for each parameter, or its default.
fn parameters(
    declared: Map<String, Value>,
    given: &Value,
    scope: &Scope,
) -> Result<BTreeMap<String, Value>, String> {
    let mut left: BTreeMap<String, &Value> = BTreeMap::new();
    for (name, value) in given.as_object().into_iter().flatten() {
        let value = value.get("value").ok_or_else(|| {
            format!("The parameter '{name}' has no 'value'; the simulator knows no references to secrets.")
        })?;
        left.insert(name.to_lowercase(), value);
    }
    let mut out = BTreeMap::new();
    for (name, declaration) in declared {
        let value = match (
            left.remove(&name.to_lowercase()),
            declaration.get("defaultValue"),
        ) {
            (Some(value), _) => value.clone(),
            (None, Some(default)) => scope.value(default)?,
            (None, None) => {
                return Err(format!(
                    "The value for the template parameter '{name}' is not provided."
                ));
            }
        };
        let kind = declaration["type"].as_str().unwrap_or_default();
        let fits = match kind.to_lowercase().as_str() {
            "string" | "securestring" => value.is_string(),
            "int" => value.is_i64(),
            "bool" => value.is_boolean(),
            "array" => value.is_array(),
            "object" | "secureobject" => value.is_object(),
            _ => {
                return Err(format!(
                    "The template parameter '{name}' has the type '{kind}', which is none."
                ));
            }
        };
        let allowed = declaration["allowedValues"].as_array();
        if !fits || allowed.is_some_and(|a| !a.contains(&value)) {
            return Err(format!(
                "The provided value for the template parameter '{name}' is not valid: type '{kind}' or one of its allowed values is expected."
            ));
        }
        out.insert(name.to_lowercase(), value);
    }
    match left.keys().next() {
        None => Ok(out),
        Some(name) => Err(format!(
            "The template parameters '{name}' in the parameters file are not valid; they are not present in the original template."
        )),
    }
}

impl Resource {
    fn read(resource: &Value, scope: &Scope) -> Result<Self, String> {
        let map = resource
            .as_object()
            .ok_or("Each of the template's resources must be an object.")?;
        let text = |key: &str| match map.get(key).map(|v| scope.value(v)).transpose()? {
            Some(Value::String(text)) if !text.is_empty() => Ok(text),
            _ => Err(format!("A resource of the template has no '{key}'.")),
        };
        let (kind, name, version) = (text("type")?, text("name")?, text("apiVersion")?);
        if let Some(key) = NOT_UNDERSTOOD.iter().find(|key| map.contains_key(**key)) {
            return Err(format!(
                "The template resource '{name}' has '{key}', which the simulator does not know."
            ));
        }
        let names: Vec<&str> = name.split('/').collect();
        let path = interleaved(&kind, &names).ok_or_else(|| format!("The template resource '{name}' for type '{kind}' has incorrect segment lengths. A nested resource type must have identical number of segments as its resource name."))?;
        let Place {
            subscription,
            group,
            ..
        } = &scope.place;
        let depends_on = match map.get("dependsOn").map(|v| scope.value(v)).transpose()? {
            None | Some(Value::Null) => BTreeSet::new(),
            Some(value) => serde_json::from_value(value).map_err(|_| {
                format!(
                    "The template resource '{name}' has a 'dependsOn' that is no array of texts."
                )
            })?,
        };
        let own = map.iter().filter(|(k, _)| !FOR_ARM.contains(&k.as_str()));
        let own: Map<String, Value> = own.map(|(k, v)| (k.clone(), v.clone())).collect();
        let body = scope.value(&own.into())?;
        Ok(Self {
            id: format!("/subscriptions/{subscription}/resourceGroups/{group}/providers/{path}"),
            name,
            kind,
            version,
            body,
            depends_on,
        })
    }

    /// By its id, its type and name, or its name alone; case does not matter.
    fn is_called(&self, called: &str) -> bool {
        let (id, called) = (self.id.to_lowercase(), called.to_lowercase());
        let whole = called.starts_with('/');
        if whole {
            return id == called;
        }
        let (_, path) = id.rsplit_once("/providers/").unwrap_or_default();
        path == called || self.name.to_lowercase() == called
    }
}

/// Names in `depends_on` become ids.
fn linked(resources: Vec<Resource>) -> Result<Vec<Resource>, String> {
    let mut ids = BTreeSet::new();
    for resource in &resources {
        if !ids.insert(resource.id.to_lowercase()) {
            return Err(format!(
                "The resource '{}' is defined multiple times in a template.",
                resource.id
            ));
        }
    }
    let link = |resource: &Resource| {
        let found = resource.depends_on.iter().map(|called| {
            let mut found = resources.iter().filter(|r| r.is_called(called));
            match (found.next(), found.next()) {
                (Some(one), None) => Ok(one.id.clone()),
                (None, _) => Err(format!(
                    "The resource '{called}' is not defined in the template."
                )),
                (Some(_), Some(_)) => Err(format!(
                    "'{called}' in 'dependsOn' names more than one resource of the template."
                )),
            }
        });
        let mut resource = resource.clone();
        resource.depends_on = found.collect::<Result<_, _>>()?;
        Ok(resource)
    };
    resources.iter().map(link).collect()
}

/// Each after those that it depends on, otherwise as listed.
fn ordered(mut left: Vec<Resource>) -> Result<Vec<Resource>, String> {
    let (mut out, mut made): (Vec<Resource>, BTreeSet<String>) = (Vec::new(), BTreeSet::new());
    while !left.is_empty() {
        let Some(next) = left.iter().position(|r| r.depends_on.is_subset(&made)) else {
            let ids: Vec<&str> = left.iter().map(|r| r.id.as_str()).collect();
            return Err(format!(
                "Circular dependency detected on resources: '{}'.",
                ids.join(", ")
            ));
        };
        let resource = left.remove(next);
        made.insert(resource.id.clone());
        out.push(resource);
    }
    Ok(out)
}
