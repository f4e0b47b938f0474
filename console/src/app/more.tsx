/** The rest of a list: its first load, its errors, and the next page. */
import { Button } from "@mantine/core";
import type { UseInfiniteQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Loading, Trouble } from "./states.tsx";

interface ListProps {
  query: UseInfiniteQueryResult<unknown>;
  /** "threads", for the words of the states. */
  what: string;
  count: number;
  empty: ReactNode;
  children: ReactNode;
}

export function PagedList({ query, what, count, empty, children }: ListProps) {
  if (query.isPending) return <Loading label={`Loading ${what}`} />;
  if (query.isError && count === 0) return <Trouble error={query.error} retry={() => query.refetch()} />;
  return (
    <>
      {query.isError && <Trouble error={query.error} />}
      {count === 0 ? empty : children}
      {query.hasNextPage && (
        <Button
          variant="default"
          loading={query.isFetchingNextPage}
          onClick={() => void query.fetchNextPage()}
          mt="sm"
        >
          Show more {what}
        </Button>
      )}
    </>
  );
}
