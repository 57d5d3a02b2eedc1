//! One pass over a JSON text for what typed parsing would let through: depth, and names given twice.

use std::borrow::Cow;

use crate::error::Malformed;

/// How deep the JSON of a payment header may nest; the outermost object is at depth 1.
pub const MAX_DEPTH: usize = 16;

/// How many members one object in a payment header may have.
pub const MAX_MEMBERS: usize = 64;

/// Checks the limits, and gives the text of the value of `x402Version` where the outermost object has it: the one
/// member to be read before the others have a meaning. `json` is known to be valid JSON; on any other text the answer
/// means nothing, but there is one.
///
/// The names of all objects that are open lie in one stack, and each depth remembers where its names
/// begin: no recursion, and no allocation per object or name unless a name contains escapes.
pub(super) fn check(json: &str) -> Result<Option<&str>, Malformed> {
    let bytes = json.as_bytes();
    let mut names: Vec<Cow<'_, str>> = Vec::with_capacity(MAX_MEMBERS);
    let mut begins = [0; MAX_DEPTH];
    let mut depth = 0;
    let mut at = 0;
    let mut version = None;
    while let Some(byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'{' | b'[' => {
                *begins.get_mut(depth).ok_or(Malformed::TooDeep)? = names.len();
                depth += 1;
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                names.truncate(begins[depth]);
            }
            b'"' => {
                let end = string_end(bytes, at);
                if is_followed_by_colon(bytes, end) {
                    let siblings = names.get(begins[depth.saturating_sub(1)]..).unwrap_or_default();
                    let name = name(json, at - 1, end)?;
                    add(siblings, &name)?;
                    if depth == 1 && name == VERSION {
                        version = json.get(end..).and_then(scalar);
                    }
                    names.push(name);
                }
                at = end;
            }
            _ => {}
        }
    }
    Ok(version)
}

/// The value behind a colon, if it is a number or a word; of others what comes first.
fn scalar(rest: &str) -> Option<&str> {
    let value = rest.trim_start_matches(WHITE).strip_prefix(':')?.trim_start_matches(WHITE);
    value.split(|character| matches!(character, ',' | '}') || WHITE.contains(&character)).next()
}

fn add(siblings: &[Cow<'_, str>], name: &str) -> Result<(), Malformed> {
    if siblings.len() >= MAX_MEMBERS {
        return Err(Malformed::TooManyMembers);
    }
    if name.starts_with(RESERVED) {
        return Err(Malformed::NotAPayment);
    }
    if siblings.iter().any(|sibling| sibling == name) {
        return Err(Malformed::DuplicateKey);
    }
    Ok(())
}

/// Where the string ends whose opening quote is before `start`: the index after its closing quote.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    loop {
        match bytes.get(at) {
            None => return bytes.len(),
            Some(b'"') => return at + 1,
            Some(b'\\') => at += 2,
            Some(_) => at += 1,
        }
    }
}

/// In valid JSON a string is the name of a member exactly if a colon follows it.
fn is_followed_by_colon(bytes: &[u8], from: usize) -> bool {
    let rest = bytes.get(from..).unwrap_or_default();
    rest.iter().find(|byte| !WHITE.contains(&char::from(**byte))) == Some(&b':')
}

/// The name between the quotes that `start..end` encloses, unescaped. A name that is no text (half of a
/// surrogate pair) has no single reading and is refused.
fn name(json: &str, start: usize, end: usize) -> Result<Cow<'_, str>, Malformed> {
    let quoted = json.get(start..end).ok_or(Malformed::NotJson)?;
    if quoted.contains('\\') {
        return serde_json::from_str(quoted).map(Cow::Owned).map_err(|_| Malformed::NotJson);
    }
    quoted.get(1..quoted.len() - 1).map(Cow::Borrowed).ok_or(Malformed::NotJson)
}

const VERSION: &str = "x402Version";
/// What may stand between the tokens of JSON.
const WHITE: [char; 4] = [' ', '\n', '\r', '\t'];
/// `serde_json` gives names of this form a meaning of its own: it would replace the object by the JSON
/// in its string, past every check made here.
const RESERVED: &str = "$serde_json::private::";

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn nested(depth: usize, open: &str, close: &str) -> String {
        open.repeat(depth) + "0" + &close.repeat(depth)
    }

    fn object(names: impl IntoIterator<Item = String>) -> String {
        let members: Vec<_> = names.into_iter().map(|name| format!("\"{name}\":0")).collect();
        format!("{{{}}}", members.join(","))
    }

    #[test]
    fn depth_is_limited_for_arrays_and_objects() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]")] {
            let per_round = open.matches(['[', '{']).count();
            let rounds = MAX_DEPTH / per_round;
            assert_eq!(check(&nested(rounds - 1, open, close)), Ok(None));
            assert_eq!(check(&nested(rounds, open, close)), Ok(None));
            assert_eq!(check(&nested(rounds + 1, open, close)), Err(Malformed::TooDeep));
            assert_eq!(check(&open.repeat(100_000)), Err(Malformed::TooDeep));
        }
    }

    #[test]
    fn members_of_one_object_are_limited() {
        let names = |count| (0..count).map(|index| format!("n{index}"));
        assert_eq!(check(&object(names(MAX_MEMBERS - 1))), Ok(None));
        assert_eq!(check(&object(names(MAX_MEMBERS))), Ok(None));
        assert_eq!(check(&object(names(MAX_MEMBERS + 1))), Err(Malformed::TooManyMembers));
        let two = object(names(MAX_MEMBERS));
        assert_eq!(check(&format!("[{two},{two}]")), Ok(None));
    }

    #[test]
    fn a_name_given_twice_is_found_at_every_level_and_in_every_spelling() {
        for twice in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"b":{"c":1},"a":2}"#,
            r#"{"a":[{"b":{"c":1,"d":[],"c":2}}]}"#,
            r#"[0,{"":1,"":2}]"#,
            "{\"a\" \n\t:1,\"b\":[[]],\"a\"\r:1}",
            r#"{"a":1,"\u0061":2}"#,
            r#"{"\u00e9":1,"é":2}"#,
            r#"{"😀":1,"\ud83d\ude00":2}"#,
            r#"{"q\"":1,"q\u0022":2}"#,
            r#"{"a\\":1,"a\\":2}"#,
            r#"{"a\/b":1,"a/b":2}"#,
            r#"{"a":"}","a":2}"#,
        ] {
            assert_eq!(check(twice), Err(Malformed::DuplicateKey), "{twice}");
        }
    }

    #[test]
    fn a_name_may_come_again_elsewhere() {
        for once in [
            r#"{"a":{"a":{"a":"a"}},"b":["a","a"]}"#,
            r#"[{"a":1},{"a":1}]"#,
            r#"{"a":"a\":1,\"a","b":"\\"}"#,
            r#"{"a":1,"A":2,"a ":3}"#,
            r#"{"a":"x","b":"\"a\":"}"#,
        ] {
            assert_eq!(check(once), Ok(None), "{once}");
        }
    }

    #[test]
    fn the_version_is_that_of_the_outermost_object() {
        for (json, version) in [
            (r#"{"x402Version":1}"#, Some("1")),
            ("{\"a\":{\"x402Version\":1}, \"x402Version\" :\t2 ,\"b\":3}", Some("2")),
            (r#"{"x402\u0056ersion":2}"#, Some("2")),
            (r#"{"x402Version":"1"}"#, Some("\"1\"")),
            (r#"{"x402Version":1.0}"#, Some("1.0")),
            (r#"{"x402Version":[1]}"#, Some("[1]")),
            (r#"{"x402version":1}"#, None),
            (r#"{"a":{"x402Version":1}}"#, None),
            (r#"[{"x402Version":1}]"#, None),
        ] {
            assert_eq!(check(json), Ok(version), "{json}");
        }
        assert_eq!(check(r#"["x402Version",1]"#), Ok(None));
    }

    #[test]
    fn names_without_one_reading_are_refused() {
        assert_eq!(check(r#"{"\ud800":1}"#), Err(Malformed::NotJson));
        assert_eq!(check(r#"{"$serde_json::private::RawValue":"{}"}"#), Err(Malformed::NotAPayment));
        assert_eq!(check(r#"{"\u0024serde_json::private::Number":"1"}"#), Err(Malformed::NotAPayment));
    }

    #[test]
    fn text_that_is_no_json_gets_an_answer() {
        for text in ["", "\"", "\"\\", "}}}}", "]\"a\":", "{\"a\":{]]]]\"a\":", "\\\"", "\"\\é\":"] {
            let _ = check(text);
        }
    }

    /// JSON as written, where objects keep all their members.
    #[derive(Clone, Debug)]
    enum Tree {
        Leaf(&'static str),
        Array(Vec<Self>),
        Object(Vec<(usize, Self)>),
    }

    /// Spellings of names; the second part says which ones are the same name.
    const SPELLINGS: [(&str, u8); 6] =
        [("a", 0), (r"\u0061", 0), ("é", 1), (r"\u00E9", 1), (r#"\"\\"#, 2), (r"\u0022\u005c", 2)];

    impl Tree {
        fn text(&self) -> String {
            match self {
                Self::Leaf(leaf) => (*leaf).to_owned(),
                Self::Array(items) => {
                    let items: Vec<_> = items.iter().map(Self::text).collect();
                    format!("[{}]", items.join(" ,"))
                }
                Self::Object(members) => {
                    let member = |(name, value): &(usize, Self)| {
                        format!("\"{}\"\n: {}", SPELLINGS[*name].0, value.text())
                    };
                    let members: Vec<_> = members.iter().map(member).collect();
                    format!("{{{}}}", members.join(","))
                }
            }
        }

        fn names_are_unique(&self) -> bool {
            match self {
                Self::Leaf(_) => true,
                Self::Array(items) => items.iter().all(Self::names_are_unique),
                Self::Object(members) => {
                    let names: HashSet<_> = members.iter().map(|(name, _)| SPELLINGS[*name].1).collect();
                    names.len() == members.len() && members.iter().all(|(_, value)| value.names_are_unique())
                }
            }
        }
    }

    fn any_tree() -> impl Strategy<Value = Tree> {
        let leaves = ["0", "null", r#""a""#, r#""\":""#, r#""{\\""#, r#""]},""#];
        let leaf = prop::sample::select(leaves.to_vec()).prop_map(Tree::Leaf);
        leaf.prop_recursive(6, 30, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Tree::Array),
                prop::collection::vec((0..SPELLINGS.len(), inner), 0..3).prop_map(Tree::Object),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_scan_agrees_with_a_walk_over_the_tree(tree in any_tree()) {
            let wanted = if tree.names_are_unique() { Ok(()) } else { Err(Malformed::DuplicateKey) };
            let text = tree.text();
            prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{text}");
            prop_assert_eq!(check(&text).map(|_| ()), wanted, "{}", text);
        }

        #[test]
        fn any_text_gets_an_answer(text in any::<String>(), syntax in r#"[\[\]{}":, \\a]{0,200}"#) {
            let _ = check(&text);
            let _ = check(&syntax);
        }
    }
}
