import styles from "./brand.module.css";

export function Brand() {
  return (
    <span className={styles.brand}>
      <svg width="26" height="26" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
        <rect width="32" height="32" rx="8" fill="#0b6e63" />
        <path
          d="M8 10.500A2.500 2.500 0 0 1 10.500 8h11a2.500 2.500 0 0 1 2.500 2.500v6a2.500 2.500 0 0 1-2.500 2.500H15l-5 5v-5a2 2 0 0 1-2-2z"
          fill="#fff"
        />
      </svg>
      Parley
    </span>
  );
}
