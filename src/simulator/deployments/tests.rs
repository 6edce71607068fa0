//! What templates come to, and what of them is refused.

use super::camel;
use super::scope::{Place, Scope};
use super::template::Template;
use serde_json::{Value, json};

const NETWORK: &str = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network";

fn place() -> Place {
    Place {
        subscription: "s".to_owned(),
        group: "g".to_owned(),
        location: "eastus".to_owned(),
    }
}

fn scope() -> Scope {
    let mut scope = Scope::new(place());
    scope
        .parameters
        .insert("size".to_owned(), json!({"cores": 4}));
    for (name, value) in [
        ("prefix", json!("a")),
        ("names", json!(["[concat(variables('prefix'), '1')]", "b"])),
        ("chicken", json!("[variables('egg')]")),
        ("egg", json!("[variables('chicken')]")),
    ] {
        scope.variables.insert(name.to_owned(), value);
    }
    scope
}

fn worth(text: &str) -> Result<Value, String> {
    scope().value(&json!(text))
}

#[test]
fn expressions_are_worth_what_arm_says() {
    for (text, value) in [
        ("plain", json!("plain")),
        ("[[not one]", json!("[not one]")),
        ("[open", json!("[open")),
        ("['it''s']", json!("it's")),
        ("[concat('a', '-', 7)]", json!("a-7")),
        (
            "[concat(variables('names'), variables('names'))]",
            json!(["a1", "b", "a1", "b"]),
        ),
        ("[Variables('NAMES')[0]]", json!("a1")),
        ("[parameters('size').Cores]", json!(4)),
        ("[parameters('size')['cores']]", json!(4)),
        ("[resourceGroup().location]", json!("eastus")),
        ("[subscription().subscriptionId]", json!("s")),
        (
            "[resourceId('Microsoft.Network/loadBalancers', 'l')]",
            json!(format!("{NETWORK}/loadBalancers/l")),
        ),
        (
            "[resourceId('Microsoft.Network/virtualNetworks/subnets', 'v', 's')]",
            json!(format!("{NETWORK}/virtualNetworks/v/subnets/s")),
        ),
        (
            "[resourceId('s2', 'g2', 'A.B/c', 'd')]",
            json!("/subscriptions/s2/resourceGroups/g2/providers/A.B/c/d"),
        ),
        (
            "[providers('Microsoft.Compute', 'virtualMachineScaleSets').apiVersions[0]]",
            json!("2024-07-01"),
        ),
    ] {
        assert_eq!(worth(text), Ok(value), "of {text}");
    }
}

#[test]
fn what_has_no_worth_is_an_error_that_says_why() {
    for (text, part) in [
        (
            "[uniqueString('a')]",
            "template function 'uniqueString' with 1 arguments is not valid",
        ),
        ("[parameters('none')]", "parameter 'none' is not found"),
        ("[variables('none')]", "variable 'none' is not found"),
        ("[variables()]", "takes one text"),
        ("[variables('chicken')]", "in a circle"),
        ("[variables('names')[2]]", "index '2' is out of bounds"),
        (
            "[parameters('size').memory]",
            "available properties are 'cores'",
        ),
        (
            "[concat('a', parameters('size'))]",
            "either texts or arrays",
        ),
        (
            "[resourceId('Microsoft.Network/virtualNetworks/subnets', 'v')]",
            "a name for each of its parts",
        ),
        ("[reference('x')]", "in outputs only"),
        ("[concat('a']", "where ')' is expected"),
        ("[]", "ends where a name is expected"),
    ] {
        let sentence = worth(text).expect_err(text);
        assert!(sentence.contains(part), "of {text}: {sentence}");
    }
}

#[test]
fn a_template_that_doubles_itself_without_end_is_given_up() {
    let mut scope = Scope::new(place());
    for n in 0..60 {
        let next = n + 1;
        let twice = format!("[concat(variables('v{next}'), variables('v{next}'))]");
        scope.variables.insert(format!("v{n}"), json!(twice));
    }
    scope.variables.insert("v60".to_owned(), json!(""));
    assert!(
        scope
            .value(&json!("[variables('v0')]"))
            .unwrap_err()
            .contains("too many")
    );
}

fn network(name: &str, depends_on: &[&str]) -> Value {
    json!({"type": "Microsoft.Network/virtualNetworks", "apiVersion": "2022-01-01", "name": name, "location": "[resourceGroup().location]", "dependsOn": depends_on})
}

fn read(resources: Value, parameters: Value, given: Value) -> Result<Template, String> {
    let template = json!({"$schema": "…", "contentVersion": "1.0.0.0", "parameters": parameters, "resources": resources});
    Template::read(&json!({"template": template, "parameters": given}), place())
}

#[test]
fn resources_come_after_those_that_they_depend_on() {
    let child = json!({"type": "Microsoft.Network/virtualNetworks/subnets", "apiVersion": "2022-01-01", "name": "c/s", "dependsOn": ["microsoft.network/VIRTUALNETWORKS/c"]});
    let by_id = format!("{NETWORK}/virtualNetworks/b");
    let listed = json!([
        child,
        network("c", &[&by_id]),
        network("a", &[]),
        network("b", &["[concat('', 'A')]"])
    ]);
    let template = read(listed, json!({}), json!({})).unwrap();
    let ids: Vec<&str> = template.resources.iter().map(|r| r.id.as_str()).collect();
    let of = |tail: &str| format!("{NETWORK}/virtualNetworks/{tail}");
    assert_eq!(ids, [of("a"), of("b"), of("c"), of("c/subnets/s")]);
    assert_eq!(
        template.resources[0].body,
        json!({"location": "eastus"}),
        "what is for ARM goes no further"
    );
}

#[test]
fn templates_that_are_wrong_or_not_understood_are_refused_whole() {
    let with = |key: &str, value: Value| {
        let mut resource = network("a", &[]);
        resource[key] = value;
        json!([resource])
    };
    for (resources, part) in [
        (
            with("copy", json!({"count": 2})),
            "'copy', which the simulator does not know",
        ),
        (with("condition", json!(true)), "'condition', which"),
        (with("resources", json!([])), "'resources', which"),
        (with("name", json!("a/b")), "incorrect segment lengths"),
        (with("apiVersion", Value::Null), "no 'apiVersion'"),
        (with("dependsOn", json!("a")), "no array of texts"),
        (
            with("dependsOn", json!(["z"])),
            "'z' is not defined in the template",
        ),
        (with("dependsOn", json!(["a"])), "Circular dependency"),
        (
            json!([network("a", &["b"]), network("b", &["a"])]),
            "Circular dependency",
        ),
        (
            json!([network("a", &[]), network("A", &[])]),
            "defined multiple times",
        ),
        (json!({}), "must be an array"),
    ] {
        let sentence = read(resources, json!({}), json!({}))
            .map(|t| t.resources)
            .expect_err(part);
        assert!(sentence.contains(part), "wanted {part}: {sentence}");
    }
}

#[test]
fn parameters_are_what_was_given_or_their_default_and_of_their_type() {
    let read = |declared: Value, given: Value| {
        let template = read(json!([]), json!({"p": declared}), given);
        template.map(|t| t.scope.parameters["p"].clone())
    };
    let text = || json!({"type": "string", "defaultValue": "[resourceGroup().location]"});
    assert_eq!(read(text(), json!({})), Ok(json!("eastus")));
    assert_eq!(
        read(text(), json!({"P": {"value": "[x"}})),
        Ok(json!("[x")),
        "given values are no expressions"
    );
    for (declared, given, part) in [
        (json!({"type": "int"}), json!({}), "'p' is not provided"),
        (
            json!({"type": "int"}),
            json!({"p": {"value": "7"}}),
            "'p' is not valid",
        ),
        (
            json!({"type": "string", "allowedValues": ["a"]}),
            json!({"p": {"value": "b"}}),
            "'p' is not valid",
        ),
        (
            json!({"type": "text"}),
            json!({"p": {"value": "b"}}),
            "the type 'text', which is none",
        ),
        (
            text(),
            json!({"q": {"value": 1}}),
            "'q' in the parameters file are not valid",
        ),
        (text(), json!({"p": {"reference": {}}}), "no 'value'"),
    ] {
        let sentence = read(declared, given).expect_err(part);
        assert!(sentence.contains(part), "wanted {part}: {sentence}");
    }
}

#[test]
fn a_password_is_in_no_debug_text() {
    let mut scope = scope();
    scope
        .parameters
        .insert("adminpassword".to_owned(), json!("hunter2"));
    assert!(!format!("{scope:?}").contains("hunter2"));
}

#[test]
fn output_names_are_shown_as_arm_shows_them() {
    for (name, shown) in [
        ("VMSS", "vmss"),
        ("VMId", "vmId"),
        ("Name", "name"),
        ("plainName", "plainName"),
    ] {
        assert_eq!(camel(name), shown);
    }
}
