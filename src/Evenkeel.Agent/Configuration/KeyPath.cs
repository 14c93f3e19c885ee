using System.Globalization;
using Evenkeel.Agent.Configuration.Yaml;

namespace Evenkeel.Agent.Configuration;

/// <summary>Paths of keys, such as <c>services.web.publish[0].port</c>: one text names a value in messages and finds it in the tree.</summary>
internal static class KeyPath
{
    public static string Join(string path, string key) => path.Length == 0 ? key : $"{path}.{key}";

    /// <summary>The value at the path, or the nearest one above it that the file has. Names hold no dots (names are checked).</summary>
    public static (YamlValue Value, YamlScalar? Key) Nearest(YamlValue root, string path)
    {
        var value = root;
        YamlScalar? key = null;
        foreach (var step in path.Split('.', '['))
        {
            if (step.EndsWith(']') && value is YamlList list
                && int.TryParse(step.AsSpan(0, step.Length - 1), NumberStyles.None, CultureInfo.InvariantCulture, out var index)
                && index < list.Items.Count)
                (value, key) = (list.Items[index], null);
            else if (value is YamlMap map && map.Entries.FirstOrDefault(entry => entry.Key.Text == step) is { } entry)
                (value, key) = (entry.Value, entry.Key);
            else
                break;
        }
        return (value, key);
    }
}
