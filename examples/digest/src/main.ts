/**
 * `npm start [-- <folder>]`: SHA-256 of every file of a folder, one durable task each. Kill it at any moment and start
 * it again: it goes on where it stopped.
 */
import { digestFolder } from './digest-folder.ts';
import { digestHere } from './digest-here.ts';
import { watchInterruption } from './interruption.ts';
import { keepsResults, openBroker } from './open-broker.ts';
import { createProgressDisplay } from './progress-display.ts';
import { readSettings, UsageError } from './settings.ts';

async function main(): Promise<number> {
  const interruption = watchInterruption();
  try {
    const settings = await readSettings(process.argv.slice(2), process.env);
    const broker = await openBroker(settings);
    const display = createProgressDisplay(process.stdout, process.env);
    const digest = (await keepsResults(broker)) ? digestFolder : digestHere;
    return await digest(broker, settings, display, interruption);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(error.message);
    return 2;
  } finally {
    interruption.off();
  }
}

// Who reads the output has gone, as in `npm start | head`. The run is kept; there is nobody to tell.
process.stdout.on('error', () => process.exit(1));
process.exitCode = await main();
