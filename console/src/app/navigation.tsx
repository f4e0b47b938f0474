import { Link, useLocation } from "wouter";
import { useApprovals } from "../api/queries.ts";
import styles from "./frame.module.css";
import { Icon, type IconName } from "./icons.tsx";
import { counted } from "./words.ts";

const places: { href: string; name: string; icon: IconName }[] = [
  { href: "/", name: "Home", icon: "home" },
  { href: "/threads", name: "Threads", icon: "threads" },
  { href: "/approvals", name: "Approvals", icon: "approvals" },
  { href: "/deliveries", name: "Deliveries", icon: "deliveries" },
];

export function Navigation() {
  const [path] = useLocation();
  const pending = useApprovals("pending");
  const count = `${pending.items.length}${pending.query.hasNextPage ? "+" : ""}`;
  const isHere = (href: string) => (href === "/" ? path === "/" : path.startsWith(href));
  return (
    <nav className={styles.nav} aria-label="Main">
      {places.map(({ href, name, icon }) => (
        <Link
          key={href}
          href={href}
          className={styles.place}
          aria-current={isHere(href) ? "page" : undefined}
        >
          <Icon name={icon} />
          <span>{name}</span>
          {href === "/approvals" && pending.items.length > 0 && (
            <span
              className={styles.badge}
              role="img"
              aria-label={`${counted(pending.items.length, "approval")} waiting`}
            >
              {count}
            </span>
          )}
        </Link>
      ))}
    </nav>
  );
}
