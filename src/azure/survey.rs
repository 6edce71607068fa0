//! All scale sets of a subscription and location in brief: one question to Azure Resource Graph, a row a set.
//!
//! In: a [`Scope`]. Out: a [`Line`] for every set, or why not all of them can be trusted: a page that failed, a row that cannot be read or
//! a count that does not add up makes the whole survey unknown, since a survey with a gap would look like sets that are gone.
//!
//! Resource Graph is a copy of what Azure Resource Manager knows, up to a minute old, and shows each caller only what it may read
//! (azure.md §9). Rows, not instances: a page holds 1,000 of them, and 15 pages may be asked for in 5 seconds.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method};
use reqwest::Url;
use serde_json::{Value, json};
use spotpool_core::units::{Count, ModelHash, Owner, VmSize};
use std::collections::BTreeMap;

use super::call_error::CallError;
use super::scale_set::{price, provisioning, read_tags, whole};
use super::tags;
use super::transport::Caller;
use crate::cloud::{Line, Scope, Urgency};

/// Where questions go. A POST that changes nothing.
pub(super) const PATH: &str = "/providers/Microsoft.ResourceGraph/resources";
const VERSION: &str = "2022-10-01";
/// The most that Resource Graph puts on a page [DOC resource-graph/concepts/paging-results].
const ROWS: usize = 1_000;
/// More pages than this are a list that does not end; a subscription has at most 2,500 scale sets in a region
/// [DOC azure-subscription-service-limits].
const MOST_PAGES: usize = 20;

/// The question. Members of Flexible sets are rows of `resources`, those of Uniform ones of `computeresources`; tables meet in joins, of
/// which three are allowed and one across tables, and not in a union [DOC resource-graph/concepts/query-language]. `id` is there, and in
/// order, so that the answer can have pages. Power states count as they do in a look (`instances::phase`), with one exception: a machine
/// that failed by an extension alone runs for a look and not here, where extensions are not told; such a pool goes on looking for itself.
const QUERY: &str = "\
resources
| where type =~ 'microsoft.compute/virtualmachinescalesets' and location =~ '{location}'
| project id = tolower(id), size = tostring(sku.name), capacity = toint(sku.capacity), \
state = tostring(properties.provisioningState), base = toint(properties.priorityMixPolicy.baseRegularPriorityCount), \
price = todouble(properties.virtualMachineProfile.billingProfile.maxPrice), tags
| join kind=leftouter (
    resources
    | where type =~ 'microsoft.compute/virtualmachines' and location =~ '{location}' and isnotempty(properties.virtualMachineScaleSet.id)
    | extend power = tostring(properties.extended.instanceView.powerState.code), unsteady = tostring(properties.provisioningState) in~ ('Creating', 'Deleting', 'Failed')
    | summarize machines = count(), up = countif(power =~ 'PowerState/running' and not(unsteady)), \
down = countif(power in~ ('PowerState/stopped', 'PowerState/deallocated') and not(unsteady)) \
by id = tolower(tostring(properties.virtualMachineScaleSet.id))
  ) on id
| join kind=leftouter (
    computeresources
    | where type =~ 'microsoft.compute/virtualmachinescalesets/virtualmachines' and location =~ '{location}'
    | extend power = tostring(properties.extended.instanceView.powerState.code), unsteady = tostring(properties.provisioningState) in~ ('Creating', 'Deleting', 'Failed')
    | summarize members = count(), membersUp = countif(power =~ 'PowerState/running' and not(unsteady)), \
membersDown = countif(power in~ ('PowerState/stopped', 'PowerState/deallocated') and not(unsteady)) \
by id = tostring(split(tolower(id), '/virtualmachines/')[0])
  ) on id
| project id, size, capacity, state, base, price, tags, instances = coalesce(machines, 0) + coalesce(members, 0), \
running = coalesce(up, 0) + coalesce(membersUp, 0), deallocated = coalesce(down, 0) + coalesce(membersDown, 0)
| order by id asc";

/// Asks for all pages.
///
/// # Errors
/// When any page could not be had or read.
pub(super) async fn ask(
    caller: &Caller,
    endpoint: &Url,
    scope: &Scope,
) -> Result<BTreeMap<String, Line>, CallError> {
    let unsent = |fact: String| CallError::NotSent { fact };
    let plain = |c: char| c.is_ascii_alphanumeric();
    if scope.location.is_empty() || !scope.location.chars().all(plain) {
        return Err(unsent(format!("{:?} is no location", scope.location)));
    }
    let mut url = endpoint
        .join(PATH)
        .map_err(|error| unsent(error.to_string()))?;
    url.set_query(Some(&format!("api-version={VERSION}")));
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let query = QUERY.replace("{location}", &scope.location);
    let mut pages = Pages::default();
    for _ in 0..MOST_PAGES {
        let mut options = json!({"resultFormat": "objectArray", "$top": ROWS});
        if let Some(token) = &pages.next {
            options["$skipToken"] = json!(token);
        }
        let body =
            json!({"subscriptions": [scope.subscription], "query": query, "options": options});
        let (url, headers, body) = (&url, headers.clone(), Bytes::from(body.to_string()));
        let answer = caller
            .exchange(Method::POST, url, headers, body, Urgency::Looking.into())
            .await?;
        pages
            .take(answer.body())
            .map_err(|fact| CallError::Unreadable { fact })?;
        if pages.next.is_none() {
            return pages.whole().map_err(|fact| CallError::Unreadable { fact });
        }
    }
    Err(CallError::Unreadable {
        fact: format!("a survey of more than {MOST_PAGES} pages"),
    })
}

/// What has been read so far.
#[derive(Debug, Default)]
struct Pages {
    lines: BTreeMap<String, Line>,
    total: u64,
    next: Option<String>,
}

impl Pages {
    fn take(&mut self, body: &[u8]) -> Result<(), String> {
        let page: Value = serde_json::from_slice(body)
            .map_err(|error| format!("a survey's page of {} bytes: {error}", body.len()))?;
        let rows = page["data"]
            .as_array()
            .ok_or("a survey's page without rows")?;
        for row in rows {
            let (id, line) = read_row(row)?;
            if self.lines.insert(id.clone(), line).is_some() {
                return Err(format!("a survey that names {id} twice"));
            }
        }
        self.total = page["totalRecords"]
            .as_u64()
            .ok_or("a survey that does not say how many rows there are")?;
        let token = page["$skipToken"].as_str();
        self.next = token.filter(|token| !token.is_empty()).map(str::to_owned);
        // With a token the rest can be asked for; without one it cannot be had at all.
        let truncated = page["resultTruncated"] == "true" || page["resultTruncated"] == true;
        match self.next {
            None if truncated => Err("a survey that Azure cut off".to_owned()),
            _ => Ok(()),
        }
    }

    /// # Errors
    /// When there are fewer or more lines than Azure counted: a set came or went between two pages.
    fn whole(self) -> Result<BTreeMap<String, Line>, String> {
        let (read, total) = (self.lines.len(), self.total);
        match u64::try_from(read) {
            Ok(read) if read == total => Ok(self.lines),
            _ => Err(format!(
                "a survey of {read} rows where Azure counts {total}"
            )),
        }
    }
}

fn read_row(row: &Value) -> Result<(String, Line), String> {
    let text = |name: &str| row[name].as_str().filter(|text| !text.is_empty());
    let id = text("id")
        .ok_or("a survey's row without an id")?
        .to_ascii_lowercase();
    let count = |name: &str| -> Result<Count, String> {
        whole(&row[name]).ok_or_else(|| format!("{id}: {name} is no count in the survey"))
    };
    let absent = |name: &str| {
        if row[name].is_null() {
            Ok(0)
        } else {
            count(name)
        }
    };
    let size = text("size").ok_or_else(|| format!("{id} has no size in the survey"))?;
    let tags = read_tags(row);
    let tag = |name: &str| {
        let mut tags = tags.iter();
        tags.find_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value.as_str()))
    };
    let (running, deallocated) = (count("running")?, count("deallocated")?);
    let other = count("instances")?
        .checked_sub(running)
        .and_then(|rest| rest.checked_sub(deallocated))
        .ok_or_else(|| format!("{id} has more instances by state than in all in the survey"))?;
    let line = Line {
        capacity: count("capacity")?,
        settled: provisioning(text("state")).is_terminal(),
        running,
        deallocated,
        other,
        traits: Line::digest(
            &VmSize::from(size),
            // A set without a mix guarantees no regular instances.
            absent("base")?,
            row["price"].as_f64().and_then(price),
            tag(tags::OWNER).map(Owner::from).as_ref(),
            tag(tags::MODEL).map(ModelHash::from).as_ref(),
        ),
    };
    Ok((id, line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str) -> Value {
        json!({
            "id": id, "size": "Standard_D4s_v5", "capacity": 3, "state": "Succeeded", "base": null, "price": -1.0,
            "tags": {"Spotpool_Owner": "o", "spotpool_model": "m"}, "instances": 3, "running": 2, "deallocated": 1,
        })
    }

    fn page(rows: &[Value], total: usize, token: Option<&str>) -> Value {
        let mut page = json!({"totalRecords": total, "count": rows.len(), "data": rows, "facets": [], "resultTruncated": "false"});
        if let Some(token) = token {
            page["$skipToken"] = json!(token);
        }
        page
    }

    fn read(pages: &[Value]) -> Result<BTreeMap<String, Line>, String> {
        let mut all = Pages::default();
        for page in pages {
            all.take(page.to_string().as_bytes())?;
        }
        all.whole()
    }

    #[test]
    fn a_row_becomes_the_line_that_a_look_at_the_same_set_becomes() {
        let (id, line) = read_row(&row("/Subscriptions/S/x")).unwrap();
        assert_eq!(id, "/subscriptions/s/x");
        let (owner, model) = (Owner::from("o"), ModelHash::from("m"));
        let size = VmSize::from("standard_d4s_v5");
        let expected = Line {
            capacity: 3,
            settled: true,
            running: 2,
            deallocated: 1,
            other: 0,
            traits: Line::digest(&size, 0, None, Some(&owner), Some(&model)),
        };
        assert_eq!(line, expected);
    }

    #[test]
    fn pages_are_one_survey() {
        let pages = [
            page(&[row("/a"), row("/b")], 3, Some("2")),
            page(&[row("/c")], 3, None),
        ];
        let ids: Vec<String> = read(&pages).unwrap().into_keys().collect();
        assert_eq!(ids, ["/a", "/b", "/c"]);
        assert_eq!(read(&[page(&[], 0, None)]).unwrap().len(), 0);
    }

    #[test]
    fn a_survey_with_a_gap_is_none() {
        let mut truncated = page(&[row("/a")], 1, None);
        truncated["resultTruncated"] = json!("true");
        let mut uncounted = page(&[row("/a")], 1, None);
        uncounted["totalRecords"] = Value::Null;
        for (what, pages) in [
            ("cut off", vec![truncated]),
            ("uncounted", vec![uncounted]),
            ("a row is missing", vec![page(&[row("/a")], 2, None)]),
            (
                "a row twice",
                vec![
                    page(&[row("/a")], 2, Some("1")),
                    page(&[row("/A")], 2, None),
                ],
            ),
            ("no rows", vec![json!({"totalRecords": 0})]),
            ("no object", vec![json!([])]),
        ] {
            assert!(read(&pages).is_err(), "{what}");
        }
        assert!(
            Pages::default()
                .take(b"{\"totalRecords\": 1, \"da")
                .is_err()
        );
    }

    #[test]
    fn one_row_that_cannot_be_read_makes_the_survey_unreadable() {
        for (field, value) in [
            ("id", Value::Null),
            ("size", json!("")),
            ("capacity", Value::Null),
            ("capacity", json!(-1)),
            ("instances", json!(2)),
            ("running", json!("2")),
            ("base", json!("one")),
        ] {
            let mut bad = row("/b");
            bad[field] = value;
            assert!(
                read(&[page(&[row("/a"), bad.clone()], 2, None)]).is_err(),
                "{field}: {bad}"
            );
        }
    }
}
