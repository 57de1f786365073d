//! `[vars]` and `[secrets]`: what templates see beside the question.

use std::sync::Arc;

use indexmap::IndexMap;

use super::Check;
use crate::policy::Ambient;
use crate::policy::file::Named;
use crate::written::{Plain, Spanned, Written};

impl Check<'_> {
    /// Both tables. A site's values go before the policy's own variables; secrets are read here.
    pub(super) fn ambient(
        &mut self,
        vars: IndexMap<Spanned<String>, Spanned<Written<Plain>>>,
        secrets: Named,
    ) -> Arc<Ambient> {
        let mut ambient = Ambient::default();
        for (name, value) in vars {
            self.ambient_name(&name);
            let value = self.faults.value(Some(value));
            let own = value.map_or_else(String::new, |value| value.into_inner().0);
            let value = self.site.get(name.get_ref()).cloned().unwrap_or(own);
            ambient.vars.insert(name.into_inner(), value);
        }
        for (name, reference) in secrets {
            self.ambient_name(&name);
            let reference = self.faults.value(Some(reference));
            let secret = reference.and_then(|reference| self.secret(&reference));
            // One that does not read is told at its place; the templates that name it are not wrong.
            ambient.secrets.insert(name.into_inner(), secret.unwrap_or_else(|| crate::policy::Secret::open("")));
        }
        Arc::new(ambient)
    }

    fn ambient_name(&mut self, name: &Spanned<String>) {
        let text = name.get_ref();
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if !text.starts_with(|c: char| c.is_ascii_lowercase()) || text.len() > 64 || !text.bytes().all(fits) {
            let mend = "write small letters, digits and `_`, a letter first: the environment names it too";
            self.faults.at(&name.span(), format!("`{text}` cannot be a name here"), mend);
        }
    }
}
