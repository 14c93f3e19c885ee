using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Schema;
using System.Text.Json.Serialization.Metadata;
using System.Text.RegularExpressions;
using Evenkeel.Agent.Control;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;

namespace Evenkeel.Agent.Api;

/// <summary>
/// The control API in OpenAPI 3.1, made of <see cref="ApiRoutes"/> and of the contract's own types. Rejected: Microsoft.AspNetCore.OpenApi,
/// which describes handlers that it finds by reflection; ours are plain delegates, and a role is none of its words.
/// </summary>
internal static partial class OpenApiDocument
{
    // What a converter writes as text, the exporter cannot see into.
    private static readonly Type[] s_texts = [typeof(Core.Model.NodeName), typeof(Core.Model.ResourceId), typeof(Core.Model.Epoch), typeof(Core.Model.GuardSession), typeof(System.Net.IPAddress), typeof(System.Net.IPNetwork), typeof(System.Net.IPEndPoint), typeof(TimeSpan)];

    private static readonly Lazy<string> s_text = new(() => Make().ToJsonString(new JsonSerializerOptions(JsonSerializerOptions.Default) { WriteIndented = true, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }) + "\n");

    public static string Text => s_text.Value;

    public static void Map(WebApplication application) => application.MapGet(ControlRoutes.OpenApi, (RequestDelegate)(http =>
    {
        http.Response.ContentType = "application/json";
        return http.Response.WriteAsync(Text, http.RequestAborted);
    }));

    private static JsonObject Make()
    {
        var schemas = new SortedDictionary<string, JsonNode>(StringComparer.Ordinal);
        var paths = new JsonObject();
        foreach (var group in ApiRoutes.All.GroupBy(route => route.Path).OrderBy(group => group.Key, StringComparer.Ordinal))
        {
            var item = new JsonObject();
            foreach (var route in group.OrderBy(route => route.Method, StringComparer.Ordinal))
            {
                item[route.Method.ToLowerInvariant()] = Operation(route, schemas);
            }

            paths[group.Key] = item;
        }

        Add(schemas, ControlJson.Default.Problem);
        return new JsonObject
        {
            ["openapi"] = "3.1.1",
            ["info"] = new JsonObject
            {
                ["title"] = "Evenkeel control API",
                ["version"] = "v1",
                ["description"] = "Every agent answers, on its local socket (no token; who may open the socket is an admin) and, where the cluster's file says 'api:', over TLS.",
                ["license"] = new JsonObject { ["name"] = "Apache-2.0", ["identifier"] = "Apache-2.0" },
            },
            ["servers"] = new JsonArray(new JsonObject
            {
                ["url"] = "https://{node}:{port}",
                ["variables"] = new JsonObject { ["node"] = new JsonObject { ["default"] = "10.77.0.11", ["description"] = "A private address of any node." }, ["port"] = new JsonObject { ["default"] = "7807" } },
            }),
            ["security"] = new JsonArray(new JsonObject { ["token"] = new JsonArray() }),
            ["paths"] = paths,
            ["components"] = new JsonObject
            {
                ["schemas"] = new JsonObject(schemas.Select(pair => KeyValuePair.Create(pair.Key, (JsonNode?)pair.Value))),
                ["securitySchemes"] = new JsonObject { ["token"] = new JsonObject { ["type"] = "http", ["scheme"] = "bearer", ["description"] = "Made by 'evenkeel api token create'." } },
            },
        };
    }

    private static JsonObject Operation(ApiRoute route, SortedDictionary<string, JsonNode> schemas)
    {
        var parameters = new JsonArray();
        foreach (Match part in InPath().Matches(route.Path))
        {
            parameters.Add(Parameter(part.Groups[1].Value, "path", "string", null));
        }

        foreach (var part in route.Query)
        {
            parameters.Add(Parameter(part.Name, "query", part.Type, part.Help));
        }

        var answer = new JsonObject { ["description"] = "It was done, or here it is." };
        answer["content"] = new JsonObject { [route.ContentType] = route.Answer is { } type ? new JsonObject { ["schema"] = Add(schemas, type) } : new JsonObject() };
        var operation = new JsonObject
        {
            ["operationId"] = route.Path == ControlRoutes.Metrics ? "getMetrics" : string.Concat(route.Path.Split('/', '-', '.').Skip(2).Where(step => step.Length > 0).Select(step => char.ToUpperInvariant(step.Trim('{', '}')[0]) + step.Trim('{', '}')[1..]).Prepend(route.Method.ToLowerInvariant())),
            ["summary"] = route.Summary,
            ["description"] = $"Takes the role {route.Role.ToString().ToLowerInvariant()}.",
            ["x-evenkeel-role"] = route.Role.ToString().ToLowerInvariant(),
            ["responses"] = new JsonObject
            {
                ["200"] = answer,
                ["default"] = new JsonObject
                {
                    ["description"] = "Why not: 400 it makes no sense, 401 no good token, 403 another role, 404 no such thing, 409 refused, 422 errors in the cluster file, 503 not now.",
                    ["content"] = new JsonObject { ["application/json"] = new JsonObject { ["schema"] = Add(schemas, ControlJson.Default.Problem) } },
                },
            },
        };
        if (parameters.Count > 0)
        {
            operation["parameters"] = parameters;
        }

        if (route.Request is { } request)
        {
            operation["requestBody"] = new JsonObject { ["required"] = true, ["content"] = new JsonObject { ["application/json"] = new JsonObject { ["schema"] = Add(schemas, request) } } };
        }

        return operation;
    }

    private static JsonObject Parameter(string name, string where, string type, string? help)
    {
        var parameter = new JsonObject { ["name"] = name, ["in"] = where, ["required"] = where == "path", ["schema"] = new JsonObject { ["type"] = type } };
        if (help is not null)
        {
            parameter["description"] = help;
        }

        return parameter;
    }

    /// <returns>A reference to the type's schema.</returns>
    private static JsonObject Add(SortedDictionary<string, JsonNode> schemas, JsonTypeInfo type)
    {
        if (!schemas.ContainsKey(type.Type.Name))
        {
            var schema = type.GetJsonSchemaAsNode(new JsonSchemaExporterOptions { TreatNullObliviousAsNonNullable = true, TransformSchemaNode = Plain });
            schemas.Add(type.Type.Name, WithoutPointers(schema, schema));
        }

        return new JsonObject { ["$ref"] = $"#/components/schemas/{type.Type.Name}" };
    }

    // The exporter points to a type's first place where it comes again, from the root of what is a part here: it is written out.
    private static JsonNode WithoutPointers(JsonNode node, JsonNode root)
    {
        if (node is JsonObject { Count: > 0 } shape && shape["$ref"] is JsonValue pointer && (string)pointer! is var path && path.StartsWith("#/", StringComparison.Ordinal))
        {
            var target = path[2..].Split('/').Aggregate(root, (at, step) => at is JsonArray list ? list[int.Parse(step, System.Globalization.CultureInfo.InvariantCulture)]! : at[step]!);
            return WithoutPointers(target.DeepClone(), root);
        }

        if (node is JsonObject properties)
        {
            return new JsonObject(properties.Select(pair => KeyValuePair.Create(pair.Key, pair.Value is null ? null : (JsonNode?)WithoutPointers(pair.Value.DeepClone(), root))));
        }

        return node is JsonArray items ? new JsonArray([.. items.Select(item => item is null ? null : WithoutPointers(item.DeepClone(), root))]) : node.DeepClone();
    }

    private static JsonNode Plain(JsonSchemaExporterContext context, JsonNode schema)
    {
        // What is null is left out of every document (ControlJson).
        if (schema is JsonObject shape && shape["required"] is JsonArray required && shape["properties"] is JsonObject properties)
        {
            foreach (var name in required.Where(name => properties[(string)name!]?["type"] is JsonArray).ToList())
            {
                required.Remove(name);
            }
        }

        var type = Nullable.GetUnderlyingType(context.TypeInfo.Type) ?? context.TypeInfo.Type;
        return !s_texts.Contains(type) ? schema
            : Nullable.GetUnderlyingType(context.TypeInfo.Type) is null ? new JsonObject { ["type"] = "string" } : new JsonObject { ["type"] = new JsonArray("string", "null") };
    }

    [GeneratedRegex(@"\{(\w+)\}")]
    private static partial Regex InPath();
}
