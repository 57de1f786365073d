use proptest::prelude::*;

use super::*;

fn us(text: &str) -> Option<String> {
    parse(text, Country::US).map(String::from)
}

fn from(country: &str, text: &str) -> Option<String> {
    parse(text, Country::from_iso(country).unwrap()).map(String::from)
}

#[test]
fn every_usual_form_of_one_number_is_the_same() {
    for text in [
        "+13035550100",
        "13035550100",
        "3035550100",
        "(303) 555-0100",
        "1-303-555-0100",
        "303.555.0100",
        "+1 (303) 555 0100",
        "01113035550100",
        "0013035550100",
        " 303-555-0100 ",
        "tel:+1-303-555-0100",
        "TEL:3035550100;phone-context=+1",
        "tel:+13035550100;npdi;rn=+13035559999",
        "sip:+13035550100@192.0.2.1:5060;user=phone",
        "sips:13035550100:secret@carrier.example",
        "sip:3035550100;npdi;rn=13035559999@carrier.example;user=phone?Replaces=x",
        "sip:%2B13035550100@carrier.example",
        "13035550100;npdi;rn=13035559999",
    ] {
        assert_eq!(us(text).as_deref(), Some("+13035550100"), "{text}");
    }
}

#[test]
fn what_is_no_number_is_refused() {
    for text in [
        "",
        " ",
        "+",
        "911",
        "5550100",
        "303555010",
        "30355501000",
        "23035550100",
        "1303555010012",
        "+1303555010",
        "+130355501001",
        "1035550100",
        "3030550100",
        "3031550100",
        "4115550100",
        "9115550100",
        "+14115550100",
        "303555O100",
        "3035550100x12",
        "++13035550100",
        "303+5550100",
        "+0123456789",
        "+1234567",
        "+4412345",
        "+9991234567890123",
        "sip:3035550100",
        "sip:alice@carrier.example",
        "mailto:3035550100",
        "tel:",
        "anonymous",
        "3035550100\n3035550101x",
        "３０３５５５０１００",
    ] {
        assert_eq!(us(text), None, "{text}");
    }
}

#[test]
fn other_countries_have_their_own_national_forms() {
    assert_eq!(from("DE", "030 901820").as_deref(), Some("+4930901820"));
    assert_eq!(from("DE", "0049 30 901820").as_deref(), Some("+4930901820"));
    assert_eq!(from("DE", "4930901820").as_deref(), Some("+4930901820"));
    assert_eq!(from("DE", "30901820"), None, "neither trunk prefix nor calling code");
    assert_eq!(from("GB", "020 7946 0000").as_deref(), Some("+442079460000"));
    assert_eq!(from("GB", "+44 (0)20 7946 0000").as_deref(), Some("+442079460000"));
    assert_eq!(from("FR", "01 42 68 53 00").as_deref(), Some("+33142685300"));
    assert_eq!(from("ES", "912345678").as_deref(), Some("+34912345678"));
    assert_eq!(from("IT", "06 69812345").as_deref(), Some("+390669812345"), "Italy keeps its zero");
    assert_eq!(from("AU", "0011 1 303 555 0100").as_deref(), Some("+13035550100"));
    assert_eq!(from("DE", "001 303 555 0100").as_deref(), Some("+13035550100"));
    assert_eq!(us("011 44 20 7946 0000").as_deref(), Some("+442079460000"));
    assert_eq!(us("+442079460000").as_deref(), Some("+442079460000"));
}

#[test]
fn parts_of_a_canonical_number() {
    assert_eq!(nanp("+13035550100"), Some("3035550100"));
    assert_eq!(nanp("+4930901820"), None);
    assert_eq!(calling_code("+13035550100"), Some("1"));
    assert_eq!(calling_code("+74951234567"), Some("7"));
    assert_eq!(calling_code("+4930901820"), Some("49"));
    assert_eq!(calling_code("+420221123456"), Some("420"));
    assert_eq!(national("+4930901820").as_deref(), Some("030901820"));
    assert_eq!(national("+34912345678").as_deref(), Some("912345678"));
    assert_eq!(national("+13035550100").as_deref(), Some("3035550100"));
    assert_eq!(national("+99912345678"), None);
}

#[test]
fn every_plan_is_found_by_its_own_code() {
    for code in Country::all_iso() {
        let country = Country::from_iso(code).unwrap();
        let found = plan::of_digits(country.plan().code.as_bytes()).unwrap();
        assert_eq!(found.code, country.plan().code, "{code}");
        assert!(country.plan().prefix.starts_with('0'), "{code}");
    }
    assert!(Country::from_iso("XX").is_none());
}

proptest! {
    #[test]
    fn any_text_gives_a_canonical_number_or_none(text in "\\PC{0,40}", code in 0usize..56) {
        let country = Country::from_iso(Country::all_iso().nth(code).unwrap()).unwrap();
        check(&text, country)?;
    }

    #[test]
    fn text_like_a_number_too(text in "(tel:|sip:|SIPS:|)[+]?[0-9 ().%2B-]{0,24}(;rn=[0-9]{1,5})?(@h.example)?", code in 0usize..56) {
        let country = Country::from_iso(Country::all_iso().nth(code).unwrap()).unwrap();
        check(&text, country)?;
    }

    #[test]
    fn any_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        check(&String::from_utf8_lossy(&bytes), Country::US)?;
    }

    #[test]
    fn separators_change_nothing(npa in "[2-9][02-9][0-9]", nxx in "[2-9][0-9]{2}", line in "[0-9]{4}", s in "[-. ()]{0,3}") {
        let expected = format!("+1{npa}{nxx}{line}");
        prop_assert_eq!(us(&format!("{npa}{s}{nxx}{s}{line}")), Some(expected.clone()));
        prop_assert_eq!(us(&format!("+1{s}{npa}{s}{nxx}{line}")), Some(expected));
    }
}

fn check(text: &str, country: Country) -> Result<(), TestCaseError> {
    let Some(number) = parse(text, country) else { return Ok(()) };
    prop_assert!(number.starts_with('+') && number[1..].bytes().all(|b| b.is_ascii_digit()), "{}", number);
    prop_assert!((9..=16).contains(&number.len()), "{}", number);
    prop_assert!(!number.is_heap_allocated());
    prop_assert_eq!(parse(&number, country), Some(number.clone()), "the canonical form is its own");
    prop_assert_eq!(parse(&number, Country::US), Some(number.clone()), "whatever the default country");
    if let Some(ten) = nanp(&number) {
        prop_assert!(is_nanp(ten.as_bytes()));
    }
    Ok(())
}
