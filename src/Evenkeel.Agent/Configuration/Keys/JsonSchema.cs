using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Evenkeel.Agent.Configuration.Keys;

/// <summary>The description of keys as a JSON schema (draft 2020-12), for editors and other checkers.</summary>
public static class JsonSchema
{
    private const string TimePattern = @"^(0|([0-9]+(\.[0-9]+)?(us|ms|s|m|h|d|w))+)$";
    private static readonly JsonWriterOptions s_writing = new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static string Text()
    {
        var schema = new JsonObject
        {
            ["$schema"] = "https://json-schema.org/draft/2020-12/schema",
            ["title"] = "Evenkeel cluster file",
        };
        foreach (var (name, value) in Of(ClusterKeys.File).ToList())
            schema[name] = value?.DeepClone();
        using var stream = new MemoryStream();
        using (var writer = new Utf8JsonWriter(stream, s_writing))
            schema.WriteTo(writer);
        return System.Text.Encoding.UTF8.GetString(stream.ToArray());
    }

    private static JsonObject Of(Shape shape) => shape switch
    {
        // A number or a boolean where text is meant is taken as it is written.
        TextShape { Pattern: null } => new() { ["type"] = new JsonArray("string", "number", "boolean") },
        TextShape { Pattern: { } pattern } => new() { ["type"] = "string", ["pattern"] = $"^(?:{pattern})$" },
        ChoiceShape choice => new() { ["enum"] = new JsonArray([.. choice.Values.Select(value => JsonValue.Create(value))]) },
        IntegerShape range => new() { ["type"] = "integer", ["minimum"] = range.Least, ["maximum"] = range.Greatest },
        NumberShape range => new() { ["type"] = "number", ["minimum"] = range.Least, ["maximum"] = range.Greatest },
        BooleanShape => new() { ["type"] = "boolean" },
        DurationShape { Least.Ticks: > 0 } => new() { ["type"] = "string", ["pattern"] = TimePattern },
        DurationShape => new() { ["type"] = new JsonArray("string", "integer"), ["pattern"] = TimePattern, ["minimum"] = 0, ["maximum"] = 0 },
        SizeShape => new() { ["type"] = new JsonArray("string", "integer"), ["pattern"] = "^[0-9.]+ ?([KMGTP]i?)?B?$" },
        AddressShape => new() { ["type"] = "string", ["anyOf"] = new JsonArray(new JsonObject { ["format"] = "ipv4" }, new JsonObject { ["format"] = "ipv6" }) },
        NetworkShape => new() { ["type"] = "string", ["pattern"] = "^[0-9a-fA-F.:]+/[0-9]{1,3}$" },
        UrlShape => new() { ["type"] = "string", ["pattern"] = "^https?://" },
        ListShape list => OfList(list),
        NamesShape names => new()
        {
            ["type"] = "object",
            ["propertyNames"] = new JsonObject { ["pattern"] = $"^(?:{names.NamePattern})$" },
            ["additionalProperties"] = Of(names.Value),
        },
        EitherShape either => new() { ["anyOf"] = new JsonArray([.. either.Alternatives.Select(Of)]) },
        KeysShape keys => OfKeys(keys),
        _ => throw new InvalidOperationException(shape.ToString()),
    };

    private static JsonObject OfList(ListShape list)
    {
        var array = new JsonObject { ["type"] = "array", ["items"] = Of(list.Item) };
        if (list.Least > 0)
            array["minItems"] = list.Least;
        return list.OrOne ? new() { ["anyOf"] = new JsonArray(array, Of(list.Item)) } : array;
    }

    private static JsonObject OfKeys(KeysShape shape)
    {
        var properties = new JsonObject();
        // Keys of later versions are left out: to the schema they are unknown, as they are to this version.
        foreach (var key in shape.Keys.Where(key => key.NotYet is null && key.Name != "*"))
        {
            var property = Of(key.Shape);
            property["description"] = key.Help + (key.Default is null ? "" : $" Default: {key.Default}.");
            properties[key.Name] = property;
        }
        var result = new JsonObject { ["type"] = "object", ["properties"] = properties };
        result["additionalProperties"] = shape.Keys.FirstOrDefault(key => key.Name == "*") is { } open ? Of(open.Shape) : false;
        if (shape.Keys.Where(key => key.Required).Select(key => key.Name).ToArray() is { Length: > 0 } required)
            result["required"] = new JsonArray([.. required.Select(name => JsonValue.Create(name))]);
        if (shape.OneOf is { } oneOf)
            result["oneOf"] = new JsonArray([.. oneOf.Where(name => properties.ContainsKey(name)).Select(name => new JsonObject { ["required"] = new JsonArray(name) })]);
        return result;
    }
}
