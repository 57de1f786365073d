//! The fields of each canonical record.

pub(super) const LRN: [&str; 30] = [
    "tn", "lrn", "ported", "ported_date", "spid", "spid_name", "alt_spid", "ocn", "aocn", "lec", "lec_type",
    "line_type", "lata", "rate_center", "city", "state", "country", "npa", "nxx", "block", "clli", "tandem_clli",
    "mcc", "mnc", "jurisdiction", "local", "lnp_type", "activation_ts", "ror", "cic",
];

pub(super) const CNAM: [&str; 10] = [
    "tn", "name", "name_full", "name_status", "presentation", "caller_type", "is_placeholder", "city", "state",
    "spam_tag",
];

pub(super) const REPUTATION: [&str; 16] = [
    "tn", "score", "level", "category", "is_spam", "is_robocall", "is_fraud", "recent_abuse", "reports", "first_seen",
    "last_seen", "reported_name", "dno", "dno_pattern", "dnc", "action",
];

pub(super) const HLR: [&str; 11] = [
    "tn", "reachable", "mcc", "mnc", "imsi", "network", "original_network", "ported", "roaming", "serving_country",
    "sim_swapped_at",
];

pub(super) const ACCOUNT: [&str; 18] = [
    "account_id", "enabled", "balance", "credit_limit", "currency", "prepaid", "cps_limit", "channel_limit", "plan",
    "route_group", "allowed_cli", "default_cli", "tech_prefix", "auth_ips", "codecs", "features",
    "emergency_address_id", "fraud_hold",
];

pub(super) const RATE: [&str; 14] = [
    "prefix", "rate_deck", "rate_inter", "rate_intra", "rate_indeterminate", "rate_local", "min_duration",
    "increment", "connect_fee", "currency", "effective_from", "effective_to", "blocked", "routes",
];

pub(super) const LERG: [&str; 23] = [
    "npa", "nxx", "block_id", "lata", "lata_name", "ocn", "aocn", "ocn_name", "category", "clli", "tandem_clli",
    "sha_indicator", "rate_center", "locality", "state", "country", "coc_type", "ssc", "portable", "pooled", "status",
    "eff_date", "dataset_version",
];

pub(super) const DNS: [&str; 19] = [
    "rcode", "ttl", "lrn", "npdi", "rn_context", "spn", "mcc", "mnc", "cic", "q_stat", "uri", "naptr", "srv", "a",
    "aaaa", "txt", "ptr", "cname", "targets",
];

pub(super) const CERT: [&str; 9] = [
    "pem", "not_after", "issuer", "subject_spc", "verstat", "attest", "orig_id", "reason_code", "identity",
];

pub(super) const LOCATION: [&str; 7] = [
    "uri", "civic", "geo", "psap_uri", "psap_name", "expires", "source",
];
