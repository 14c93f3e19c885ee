using System.Globalization;
using System.Net;
using Evenkeel.Agent.Configuration.Keys;
using Evenkeel.Agent.Configuration.Values;
using Evenkeel.Agent.Configuration.Yaml;

namespace Evenkeel.Agent.Configuration.Checks;

/// <summary>Shapes and values in words, for messages and the manual.</summary>
internal static class Words
{
    public static string Of(Shape shape) => shape switch
    {
        TextShape text => text.What,
        ChoiceShape choice => choice.Values.Length == 1 ? choice.Values[0] : string.Join(", ", choice.Values[..^1]) + " or " + choice.Values[^1],
        IntegerShape range => range.Least == range.Greatest ? $"{range.Least}" : $"a whole number from {Number(range.Least)} to {Number(range.Greatest)}",
        NumberShape range => $"a number from {Number(range.Least)} to {Number(range.Greatest)}",
        BooleanShape => "true or false",
        DurationShape range => $"a time from {Duration.Format(range.Least)} to {Duration.Format(range.Greatest)}",
        SizeShape => "a size",
        AddressShape => "an IP address",
        NetworkShape => "a network in CIDR notation",
        UrlShape => "an http or https URL",
        ListShape list => $"a list ({Of(list.Item)} each)",
        NamesShape => "a map of names",
        KeysShape => "a map of keys",
        EitherShape either => string.Join(", or ", either.Alternatives.Select(Of)),
        _ => throw new InvalidOperationException(shape.ToString()),
    };

    public static string Of(YamlValue value) => value switch
    {
        YamlScalar { IsNull: true } => "nothing",
        YamlScalar scalar => $"'{scalar.Text}'",
        YamlList => "a list",
        _ => "a map",
    };

    public static string Mend(Shape shape, string found) => shape switch
    {
        ChoiceShape choice when Spelling.Nearest(found, choice.Values) is { } near => $"Did you mean '{near}'?",
        DurationShape when double.TryParse(found, CultureInfo.InvariantCulture, out _) => $"Give the unit, such as {found}ms, {found}s or {found}m",
        SizeShape => "Write a size such as 500MB, 20GiB or 4096",
        NetworkShape when IPAddress.TryParse(found, out _) => $"Add the prefix length, such as {found}/24",
        NetworkShape when found.Contains('/', StringComparison.Ordinal) => "The bits behind the prefix must be zero: 10.10.0.0/24, not 10.10.0.5/24",
        AddressShape when found.Contains('/', StringComparison.Ordinal) => "Leave out the prefix length: it comes from 'networks'",
        _ => Example(shape),
    };

    public static string Example(Shape shape) => shape switch
    {
        DurationShape => "Write a time such as 100ms, 5s or 2m",
        AddressShape => "Write an address such as 10.10.0.11",
        NetworkShape => "Write a network such as 10.10.0.0/24",
        UrlShape => "Write a URL such as https://10.10.0.11:2379",
        ListShape => "Write it as a list: [first, second]",
        NamesShape => "Write 'name: value' lines below it, indented",
        KeysShape keys => "Write its keys below it, indented: " + string.Join(", ", keys.Keys.Where(key => key.NotYet is null).Select(key => key.Name)),
        _ => "Write " + Of(shape),
    };

    public static string Number(double number) => number.ToString("#,0.####", CultureInfo.InvariantCulture);
}
