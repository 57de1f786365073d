use proptest::prelude::*;

use super::*;

fn inputs() -> Inputs {
    let declared = |name: &str, input, optional, default: Option<&str>| Declared {
        name: name.into(),
        input,
        optional,
        default: default.map(Into::into),
        volatile: false,
    };
    Inputs {
        key: InputType::Tn { country: Country::US },
        further: vec![
            declared("ani", InputType::Tn { country: Country::US }, true, None),
            declared("deck", InputType::Text, false, None),
            declared("zone", InputType::Digits, true, Some("7")),
        ],
    }
}

fn plain(key: InputType) -> Inputs {
    Inputs { key, further: Vec::new() }
}

#[test]
fn the_id_holds_key_and_inputs_in_order_of_declaration() {
    let question = inputs().question("(303) 555-0100", &[("deck", "A"), ("ani", "2025550123")]).unwrap();
    assert_eq!(question.id, "+13035550100\u{1f}+12025550123\u{1f}A\u{1f}7");
    assert_eq!(question.inputs, [Some("+12025550123".into()), Some("A".into()), Some("7".into())]);
    let question = inputs().question("3035550100", &[("deck", "A"), ("ani", "")]).unwrap();
    assert_eq!(question.id, "+13035550100\u{1f}\u{1f}A\u{1f}7");
    let named: Vec<_> = question.named_inputs().map(|(name, value)| (&**name, value)).collect();
    assert_eq!(named, [("ani", None), ("deck", Some("A")), ("zone", Some("7"))]);
}

#[test]
fn a_volatile_input_is_asked_with_and_not_known_by() {
    let mut inputs = inputs();
    let call =
        Declared { name: "call_id".into(), input: InputType::Text, optional: true, default: None, volatile: true };
    inputs.further.insert(1, call);
    let ask = |call: &str| inputs.question("3035550100", &[("deck", "A"), ("call_id", call)]).unwrap();
    let (one, other) = (ask("x1"), ask("x2"));
    assert_eq!((&*one.id, &one.id), ("+13035550100\u{1f}\u{1f}A\u{1f}7", &other.id));
    assert_eq!(other.named_inputs().nth(1).unwrap().1, Some("x2"));
}

#[test]
fn a_plain_question_is_its_key() {
    let question = plain(InputType::Tn { country: Country::US }).question("3035550100", &[]).unwrap();
    assert_eq!(question, Question::of_key("+13035550100"));
    assert!(!question.key.is_heap_allocated() && !question.id.is_heap_allocated());
    assert!(question.inputs.capacity() == 0 && question.names.capacity() == 0);
}

#[test]
fn what_does_not_fit_says_what_it_should_be() {
    let ask = |key: &str, given: &[(&str, &str)]| inputs().question(key, given).unwrap_err().to_string();
    assert_eq!(ask("911", &[("deck", "A")]), "the key is not a telephone number, such as +13035550100");
    assert_eq!(ask("3035550100", &[]), "input `deck` is not given, and this lookup needs it");
    assert_eq!(ask("3035550100", &[("deck", "A"), ("zone", "x")]), "input `zone` is not 1 to 32 digits");
    assert_eq!(
        ask("3035550100", &[("dekc", "A")]),
        "there is no input `dekc`; this policy takes `ani`, `deck`, `zone`"
    );
    let error = plain(InputType::Digits).question("1", &[("a\r\nb", "A")]).unwrap_err();
    assert_eq!(error.to_string(), "there is no input `ab`; this policy takes a key and nothing else");
}

#[test]
fn dns_names_and_sip_uris_give_a_host() {
    let canonical = |text: &str| InputType::DnsName.canonical(text).map(String::from);
    for text in [
        "sip.carrier.test",
        "SIP.Carrier.test.",
        "sip:alice@sip.carrier.test:5060;lr",
        "SIPS:sip.carrier.test;transport=tls",
        "sip:a@sip.carrier.test?x=y",
    ] {
        assert_eq!(canonical(text).as_deref(), Some("sip.carrier.test"), "{text}");
    }
    assert_eq!(canonical("_sip._udp.carrier.test").as_deref(), Some("_sip._udp.carrier.test"));
    for text in [
        "",
        ".",
        "a..b",
        "-a.test",
        "a-.test",
        "a b",
        "a/b",
        "sip:alice@[2001:db8::1]",
        "ä.test",
        "a.test:5060",
        "sip:",
        "a\0b",
    ] {
        assert_eq!(canonical(text), None, "{text}");
    }
    assert!(canonical(&"a".repeat(64)).is_none());
    assert!(canonical(&vec!["a".repeat(62); 4].join(".")).is_some());
    assert!(canonical(&vec!["a".repeat(63); 4].join(".")).is_none());
}

#[test]
fn digits_and_text_are_bounded() {
    assert_eq!(InputType::Digits.canonical("007").as_deref(), Some("007"));
    for text in ["", "1a", "+1", "１"] {
        assert!(InputType::Digits.canonical(text).is_none(), "{text}");
    }
    assert!(InputType::Digits.canonical(&"1".repeat(33)).is_none());
    assert_eq!(InputType::Text.canonical("Ä b").as_deref(), Some("Ä b"));
    for text in ["", "a\nb", "a\u{1f}b", "a\u{7f}", "a\u{85}b"] {
        assert!(InputType::Text.canonical(text).is_none(), "{text:?}");
    }
    assert!(InputType::Text.canonical(&"ä".repeat(126)).is_none());
}

proptest! {
    #[test]
    fn every_type_has_one_canonical_form(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let text = String::from_utf8_lossy(&bytes);
        for input in [InputType::Tn { country: Country::US }, InputType::DnsName, InputType::Digits, InputType::Text] {
            let Some(form) = input.canonical(&text) else { continue };
            prop_assert!(form.len() <= 253 && !form.chars().any(char::is_control));
            prop_assert_eq!(input.canonical(&form), Some(form.clone()));
        }
    }

    #[test]
    fn dns_names_too(text in "(sip:|SIPS:|)[A-Za-z0-9._:;@-]{0,40}") {
        if let Some(name) = InputType::DnsName.canonical(&text) {
            prop_assert!(!name.ends_with('.') && !name.chars().any(|c| c.is_ascii_uppercase()));
            prop_assert_eq!(InputType::DnsName.canonical(&name), Some(name.clone()));
        }
    }
}

/// The first step of every hit. A debug build is ten times slower than what is shipped; this catches an
/// allocation or a second pass, not a nanosecond.
#[test]
fn a_plain_number_is_read_quickly() {
    let inputs = plain(InputType::Tn { country: Country::US });
    let batch = || {
        let started = crate::deadline::now();
        for _ in 0..10_000 {
            let _ = std::hint::black_box(inputs.question(std::hint::black_box("13035550100"), &[]));
        }
        started.elapsed() / 10_000
    };
    // The least of several: the machine has other work too.
    let each = (0..20).map(|_| batch()).min().unwrap_or_default();
    println!("a question in {each:?}");
    assert!(each < std::time::Duration::from_micros(20), "{each:?}");
}

#[test]
fn words_are_kept_as_the_policy_writes_them() {
    let words = |list: &[&str]| list.iter().map(|word| CompactString::from(*word)).collect::<Arc<[CompactString]>>();
    let want = Declared {
        name: WANT.into(),
        input: InputType::Words(words(&["lrn", "cnam", "spam"])),
        optional: true,
        default: Some("lrn,cnam,spam".into()),
        volatile: false,
    };
    let record = Declared {
        name: "type".into(),
        input: InputType::Word(words(&["A", "SRV"])),
        optional: true,
        default: Some("A".into()),
        volatile: false,
    };
    let inputs = Inputs { key: InputType::Text, further: vec![record, want] };
    let id = |given: &[(&str, &str)]| inputs.question("k", given).map(|question| question.id.replace(SEPARATOR, "|"));
    assert_eq!(id(&[]).unwrap(), "k|A|lrn,cnam,spam");
    assert_eq!(id(&[("type", "srv"), ("want", "CNAM, lrn,cnam")]).unwrap(), "k|SRV|lrn,cnam");
    assert_eq!(id(&[("type", "MX")]).unwrap_err().to_string(), "input `type` is not one of A, SRV");
    assert_eq!(
        id(&[("want", "lrn,,cnam")]).unwrap_err().to_string(),
        "input `want` is not some of lrn, cnam, spam, with commas between them"
    );
}
