using System.Globalization;
using System.Net;

namespace Evenkeel.Agent.Configuration.Yaml;

/// <summary>What a scalar means as a value of some type. YAML 1.2 core schema: 'yes' and 'no' are text.</summary>
internal static class Scalars
{
    public static bool TryBoolean(YamlScalar scalar, out bool value)
    {
        value = scalar is { Quoted: false, Text: "true" };
        return scalar is { Quoted: false, Text: "true" or "false" };
    }

    public static bool TryInteger(YamlScalar scalar, out long value)
    {
        value = 0;
        return !scalar.Quoted && long.TryParse(scalar.Text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out value);
    }

    public static bool TryNumber(YamlScalar scalar, out double value)
    {
        value = 0;
        return !scalar.Quoted && double.TryParse(scalar.Text, NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out value);
    }

    /// <summary>IPNetwork.TryParse takes 10.10.0.5/24 for 10.10.0.0/24; in a file it is rather a mistake.</summary>
    public static bool TryNetwork(string text, out IPNetwork value) =>
        IPNetwork.TryParse(text, out value) && IPAddress.TryParse(text.AsSpan(0, text.IndexOf('/', StringComparison.Ordinal)), out var written) && written.Equals(value.BaseAddress);

    /// <summary>IPAddress.Parse takes '10' and '10.1' as addresses too; nobody means these.</summary>
    public static bool TryAddress(YamlScalar scalar, out IPAddress value)
    {
        if (IPAddress.TryParse(scalar.Text, out var parsed) && (scalar.Text.Contains(':', StringComparison.Ordinal) || scalar.Text.Count(c => c == '.') == 3))
        {
            value = parsed;
            return true;
        }
        value = IPAddress.None;
        return false;
    }
}
