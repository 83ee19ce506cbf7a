import { existsSync } from 'node:fs';

import { defineConfig } from '@playwright/test';

const port = Number(process.env.CLRUN_UI_PORT ?? 8123);
const dir = process.env.CLRUN_UI_OUT ?? 'dist';
const browsers = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

export default defineConfig({
  testDir: 'tests',
  outputDir: process.env.CLRUN_UI_RESULTS ?? 'test-results',
  workers: 2,
  fullyParallel: true,
  timeout: 180_000,
  expect: { timeout: 60_000 },
  reporter: 'line',
  use: {
    baseURL: `http://127.0.0.1:${port}`,
    viewport: { width: 1200, height: 800 },
    colorScheme: 'light',
    locale: 'en-US',
    launchOptions: {
      executablePath: browsers.find((path) => path && existsSync(path)),
      args: ['--no-sandbox', '--disable-gpu', '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'],
    },
  },
  webServer: {
    command: `node dev/fake-server.mjs ${port} ${dir}`,
    url: `http://127.0.0.1:${port}/auth/config`,
  },
});
