import "uplot/dist/uPlot.min.css";
import "./tokens.css";
import "./base.css";
import { mount } from "svelte";
import App from "./App.svelte";
import { theme } from "./lib/theme.svelte";

theme.start();
const target = document.getElementById("app");
if (target) mount(App, { target });
