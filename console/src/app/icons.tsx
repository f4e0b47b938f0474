/** The few pictures the console needs, drawn on a 24-pixel grid. They are decoration: the control's text names it. */
const paths = {
  home: "M4 11.5 12 5l8 6.500V19a1 1 0 0 1-1 1h-4.500v-5h-5v5H5a1 1 0 0 1-1-1z",
  threads: "M5 5h14a1 1 0 0 1 1 1v9a1 1 0 0 1-1 1h-8l-4 3.500V16H5a1 1 0 0 1-1-1V6a1 1 0 0 1 1-1z",
  approvals:
    "M12 3.500 19 6v5.500c0 4.300-2.900 7.500-7 9-4.100-1.500-7-4.700-7-9V6zM9 12l2.200 2.200L15.200 10",
  deliveries: "M20 4 3.500 10.500l6.500 3 3 6.500zM10 13.500 14 9.500",
  plus: "M12 5v14M5 12h14",
  send: "M12 19V5M6 11l6-6 6 6",
  back: "M14.500 6 8.500 12l6 6",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 3v1.500M12 19.500V21M3 12h1.500M19.500 12H21M5.600 5.600l1.100 1.100M17.300 17.300l1.100 1.100M5.600 18.400l1.100-1.100M17.300 6.700l1.100-1.100",
  moon: "M19.500 14.500A8 8 0 1 1 9.500 4.500a6.500 6.500 0 0 0 10 10z",
  screen: "M4 5h16v11H4zM9 20h6M12 16v4",
  out: "M14 5H6v14h8M11 12h9M17 9l3 3-3 3",
  more: "M6 12h.01M12 12h.01M18 12h.01",
  tool: "M14.500 6.500a3.500 3.500 0 0 1 4.600-1.100l-2.300 2.300.5 1.500 1.500.5 2.300-2.300a3.500 3.500 0 0 1-4.700 4.600L9.500 19a1.900 1.900 0 0 1-2.700-2.700z",
  check: "M5 12.500 10 17 19 7",
  cross: "M6.500 6.500l11 11M17.500 6.500l-11 11",
  question:
    "M12 3.500a8.500 8.500 0 1 0 0 17 8.500 8.500 0 0 0 0-17zM12 16.500h.01M9.600 9.700a2.500 2.500 0 1 1 3.700 2.200c-.9.500-1.300 1-1.300 1.800",
} as const;

export type IconName = keyof typeof paths;

export function Icon({ name, size = 18 }: { name: IconName; size?: number }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      strokeWidth={name === "more" ? 2.8 : 1.7}
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
      focusable="false"
    >
      <path d={paths[name]} />
    </svg>
  );
}
