//! `fewshot_config` in the form of lm-eval's results: every key, also those without a value here.

use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::FewshotSpec;

impl Serialize for FewshotSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_struct("FewshotConfig", 11)?;
        map.serialize_field("sampler", &self.sampler)?;
        map.serialize_field("split", &self.split)?;
        map.serialize_field("process_docs", &())?;
        map.serialize_field("fewshot_indices", &())?;
        map.serialize_field("samples", &self.samples)?;
        map.serialize_field("doc_to_text", &self.doc_to_text)?;
        map.serialize_field("doc_to_choice", &self.doc_to_choice)?;
        map.serialize_field("doc_to_target", &self.doc_to_target)?;
        map.serialize_field("gen_prefix", &())?;
        map.serialize_field("fewshot_delimiter", &self.fewshot_delimiter)?;
        map.serialize_field("target_delimiter", &self.target_delimiter)?;
        map.end()
    }
}
