/** A question of the agent. Its choices are buttons that answer with a message, like any message a person writes. */
import { Button } from "@mantine/core";
import { Icon } from "../app/icons.tsx";
import { Pill } from "../app/states.tsx";
import type { QuestionItem } from "./conversation.ts";
import { Markdown } from "./markdown.tsx";
import styles from "./question-card.module.css";

export function QuestionCard({ item, onAnswer }: { item: QuestionItem; onAnswer: (text: string) => void }) {
  const { question, isOpen } = item;
  const answers = answersOf(question);
  return (
    <article className={styles.card} data-open={isOpen} aria-label={`Question from ${item.from}`}>
      <header className={styles.head}>
        <Icon name="question" />
        <strong>{item.from} asks</strong>
        {question.urgency === "high" && <Pill tone="warn">urgent</Pill>}
        {!isOpen && <Pill>closed</Pill>}
      </header>
      <Markdown text={question.text} />
      {isOpen && answers.length > 0 && (
        <div className={styles.answers}>
          {answers.map((answer) => (
            <Button key={answer} variant="default" className={styles.answer} onClick={() => onAnswer(answer)}>
              {answer}
            </Button>
          ))}
        </div>
      )}
      {isOpen && answers.length === 0 && <p className={styles.hint}>Write your answer below.</p>}
    </article>
  );
}

/** Answers with a fixed meaning that code reads without a model (core/plain-answers.ts). */
function answersOf({ format, purpose }: QuestionItem["question"]): string[] {
  if (format.kind === "choices") return format.choices;
  if (format.kind === "yes_no") return ["Yes", "No"];
  return purpose === "budget" ? ["extend"] : [];
}
