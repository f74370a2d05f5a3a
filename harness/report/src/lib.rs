//! What a run shows and leaves behind: tables, lm-eval's results and samples files, the scorecard. Computes no score.

mod attack_columns;
mod attacks_parquet;
mod card_columns;
mod eval_files;
mod eval_results;
mod eval_table;
mod experiment_card;
mod experiment_parquet;
mod group_sections;
mod html;
mod measure_columns;
mod models_table;
mod parquet_table;
mod recovery_tables;
mod relearn_table;
mod samples;
mod samples_parquet;
mod table;
mod tensorboard;

pub use attacks_parquet::attacks_parquet;
pub use eval_files::{EvalFiles, ReportError, SamplesFormat, prepare_output};
pub use eval_results::{EvalRun, ModelFacts, Prompting, ScoredTask, results_json};
pub use eval_table::eval_table;
pub use experiment_card::{experiment_card_markdown, experiment_card_text, machine_costs_text};
pub use experiment_parquet::experiment_parquet;
pub use html::html_report;
pub use models_table::{ModelScores, NamedScore, models_table};
pub use recovery_tables::{RecoveryStandings, recovery_tables};
pub use relearn_table::{Attack, RelearnRow, relearn_table};
pub use samples::samples_jsonl;
pub use samples_parquet::samples_parquet;
pub use table::{Align, Table};
pub use tensorboard::EventFile;
