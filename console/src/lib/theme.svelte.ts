type Choice = "auto" | "light" | "dark";
const KEY = "revere-theme";

/** Light, dark or as the system says; the choice stays on this device. */
class Theme {
  choice = $state<Choice>("auto");
  /** Rises whenever colours may have changed: charts read their colours again. */
  turn = $state(0);

  start(): void {
    const kept = localStorage.getItem(KEY);
    if (kept === "light" || kept === "dark") this.set(kept);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => (this.turn += 1));
  }

  get dark(): boolean {
    void this.turn;
    return this.choice === "dark" || (this.choice === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
  }

  toggle(): void {
    this.set(this.dark ? "light" : "dark");
  }

  private set(choice: Choice): void {
    this.choice = choice;
    document.documentElement.dataset.theme = choice;
    localStorage.setItem(KEY, choice);
    this.turn += 1;
  }
}

export const theme = new Theme();
