// SPDX-FileCopyrightText: The shmem-glib authors
// SPDX-License-Identifier: LGPL-2.1-or-later

/* An asynchronous iterator of [index, result].
 *
 * What has come and was not asked for is kept. When that is as much as the window, the job is paused
 * until half of it was taken; what the workers had begun by then is at most another window.
 */

/* exported Stream */

const COMPACT = 1024; // taken ones that are cut off together

var Stream = class {
    constructor(run, window) {
        this._run = run;
        this._window = window;
        this._ready = [];
        this._nTaken = 0; // of those in _ready
        this._waiting = []; // promises that were asked for before their result was there
        this._isPaused = false;
        this._end = null; // a promise of the end
        this._hasEnded = false;
        this._failure = null;
    }

    get nKept() {
        return this._ready.length - this._nTaken;
    }

    _start() {
        const run = this._run;
        run.onResult = (index, result) => this._put([index, result]);
        this._end = run.runAsync().then(() => {}, exception => {
            this._failure = {exception};
        }).then(() => {
            this._hasEnded = true;
            for (const promise of this._waiting.splice(0))
                this._finish(promise);
        });
    }

    _put(value) {
        if (this._waiting.length > 0) {
            this._waiting.shift().resolve({value, done: false});
            return;
        }
        this._ready.push(value);
        if (!this._isPaused && this.nKept >= this._window)
            this._pause(true);
    }

    _pause(isPaused) {
        this._isPaused = isPaused;
        this._run.setPaused(isPaused);
    }

    _take() {
        const value = this._ready[this._nTaken];
        this._ready[this._nTaken++] = undefined;
        if (this._nTaken >= COMPACT) {
            this._ready.splice(0, this._nTaken);
            this._nTaken = 0;
        }
        if (this._isPaused && this.nKept <= this._window / 2)
            this._pause(false);
        return value;
    }

    /* The failure is told once. */
    _finish({resolve, reject}) {
        const failure = this._failure;
        this._failure = null;
        if (failure === null)
            resolve({value: undefined, done: true});
        else
            reject(failure.exception);
    }

    next() {
        return new Promise((resolve, reject) => {
            if (this._end === null)
                this._start();
            if (this.nKept > 0)
                resolve({value: this._take(), done: false});
            else if (this._hasEnded)
                this._finish({resolve, reject});
            else
                this._waiting.push({resolve, reject});
        });
    }

    /* Who leaves the loop ends the map, and goes on when nothing is left of it. */
    async return(value) {
        if (this._end !== null && !this._hasEnded) {
            this._run.cancel();
            await this._end;
        }
        this._end ??= Promise.resolve();
        this._hasEnded = true;
        this._failure = null;
        this._ready = [];
        this._nTaken = 0;
        return {value, done: true};
    }

    [Symbol.asyncIterator]() {
        return this;
    }
};
