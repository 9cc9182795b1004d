/** Line drawings on a field of 20 by 20. */

export const SUN = ["M10 6.8a3.2 3.2 0 1 0 0 6.4 3.2 3.2 0 0 0 0-6.4z", "M10 2.5v1.4M10 16.1v1.4M2.5 10h1.4M16.1 10h1.4M4.7 4.7l1 1M14.3 14.3l1 1M15.3 4.7l-1 1M5.7 14.3l-1 1"];
export const MOON = ["M16.5 11.8A6.8 6.8 0 0 1 8.2 3.5a6.8 6.8 0 1 0 8.3 8.3z"];
export const PLAY = ["M6.5 4.2v11.6a.6.6 0 0 0 .9.5l9-5.8a.6.6 0 0 0 0-1l-9-5.8a.6.6 0 0 0-.9.5z"];
export const PAUSE = ["M7 4.5v11", "M13 4.5v11"];
export const EYE = ["M2.5 10S5.2 5 10 5s7.5 5 7.5 5-2.7 5-7.5 5-7.5-5-7.5-5z", "M10 7.8a2.2 2.2 0 1 0 0 4.4 2.2 2.2 0 0 0 0-4.4z"];
export const EYE_OFF = ["M3.5 3.5l13 13", "M8 5.3A7 7 0 0 1 10 5c4.8 0 7.5 5 7.5 5a13 13 0 0 1-2.3 2.8M12.7 14.4A7 7 0 0 1 10 15c-4.8 0-7.5-5-7.5-5A13 13 0 0 1 5.6 6.6"];
export const REMOVE = ["M4 6h12M8 6V4.5h4V6M5.5 6l.7 9.5a1 1 0 0 0 1 1h5.6a1 1 0 0 0 1-1L14.5 6M8.5 9v4.5M11.5 9v4.5"];
export const SEND = ["M10 16V4.5M5.5 9 10 4.5 14.5 9"];
export const STOP = ["M6 6h8v8H6z"];
export const TRACK = ["M3 10h9M9 6.5 12.5 10 9 13.5M16 5v10"];
