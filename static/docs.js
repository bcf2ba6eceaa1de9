// Swagger UI on this server's own document; it asks nobody else, not even to validate.
SwaggerUIBundle({ url: "openapi.json", dom_id: "#docs", deepLinking: true, validatorUrl: null });
