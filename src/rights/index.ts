export type { FactValue } from './condition.js';
export { checkDay } from './condition.js';
export { factReader, type KnownFact, type Subject, specsOf } from './derive.js';
export { type CellResult, evaluate, type Reason, type TitleResult } from './evaluate.js';
export { type Gap, gapsOf } from './gaps.js';
export {
  type CourtItem,
  type CreationStep,
  type IndependenceFile,
  independenceOf,
  type StampOf,
} from './independence.js';
export * from './law.js';
export { loadLaw, ruleOf } from './load-law.js';
export {
  type Inquiry,
  type Matrix,
  matrixOf,
  partsOf,
  type Row,
  rowsOf,
  settingOf,
  subjectsOf,
} from './matrix.js';
export { judgeMeasures, loadMeasures, type Measure, type MeasureJudgement } from './measures.js';
export { isAnswered, type Question, questionsOf } from './questions.js';
export { bindsOn, type Register, registerOf, type Terms, type TermsClauses } from './register.js';
export { rightsReport } from './report.js';
export {
  type AnswerInput,
  addMeasure,
  addSearch,
  addTerms,
  answerQuestion,
  type MeasureInput,
  readValue,
  type SearchInput,
  type Stated,
  specOf,
  type TermsInput,
  targetOf,
} from './state.js';
export { lintTerms, type TermsFinding } from './terms.js';
export { type Answer, type Verdict, verdicts } from './verdict.js';
export {
  type CellView,
  cellView,
  type MatrixView,
  matrixView,
  noticesOf,
  type ReasonView,
  type RowView,
  rulesDay,
  type SourceView,
} from './view.js';
