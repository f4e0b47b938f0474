# Parley's gateway and workers, for a Postgres of your own: docker-compose.yml shows how they go together.
# The embedded Postgres stays out of it; DATABASE_URL is needed.

# What runs: no development tools, no binaries that only a build or the embedded Postgres needs.
FROM node:24-bookworm-slim AS packages
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --omit=optional --ignore-scripts && npm cache clean --force

# The web console. Its bundler has its binary for this platform in an optional package.
FROM node:24-bookworm-slim AS console
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts
COPY tsconfig.json tsconfig.json
COPY scripts/build-console.ts scripts/build-console.ts
COPY console console
RUN node scripts/build-console.ts

FROM node:24-bookworm-slim
# git is what deploybot reads tags with.
RUN apt-get update \
  && apt-get install -y --no-install-recommends git ca-certificates \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY --from=packages /app/node_modules node_modules
COPY package.json LICENSE parley.example.yaml ./
COPY bin bin
COPY core core
COPY store store
COPY queue queue
COPY channels channels
COPY agents agents
COPY prompts prompts
COPY gateway gateway
COPY cli cli
COPY --from=console /app/console/dist console/dist

# parley.yaml, if there is one, is read from the folder where the command starts.
RUN mkdir -p /config /data && chown node:node /data
WORKDIR /config
ENV NODE_ENV=production PARLEY_HOST=0.0.0.0 PARLEY_PORT=7470 PARLEY_DATA_DIR=/data
VOLUME /data
EXPOSE 7470
USER node

HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PARLEY_PORT}/healthz`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "--max-semi-space-size=4", "/app/bin/parley.mjs"]
CMD ["start", "--role", "gateway"]
