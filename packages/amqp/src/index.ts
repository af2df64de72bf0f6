// The public entry of this package; see packages/postgres/src/index.ts for the shape.
export {};
