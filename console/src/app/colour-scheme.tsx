/** System, light, dark: one button that goes round and says where it is. */
import { ActionIcon, type MantineColorScheme, useMantineColorScheme } from "@mantine/core";
import { Icon, type IconName } from "./icons.tsx";

const after: Record<MantineColorScheme, MantineColorScheme> = { auto: "light", light: "dark", dark: "auto" };
const icons: Record<MantineColorScheme, IconName> = { auto: "screen", light: "sun", dark: "moon" };
const names: Record<MantineColorScheme, string> = { auto: "as the system", light: "light", dark: "dark" };

export function ColourScheme() {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const label = `Colours: ${names[colorScheme]}. Change to ${names[after[colorScheme]]}`;
  return (
    <ActionIcon
      variant="subtle"
      color="gray"
      size="lg"
      aria-label={label}
      title={label}
      onClick={() => setColorScheme(after[colorScheme])}
    >
      <Icon name={icons[colorScheme]} />
    </ActionIcon>
  );
}
